#include "textflag.h"

// func lagsAVX2(d *float64, n, lag int, cross, late *[16]float64)
// A lag has its own place in the vectors, so that its sums are added in the order of the periods: the last of four is first.
TEXT ·lagsAVX2(SB), NOSPLIT, $0-40
	MOVQ d+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ lag+16(FP), AX
	MOVQ cross+24(FP), DI
	MOVQ late+32(FP), DX
	SHLQ $3, AX
	MOVQ SI, BX
	SUBQ AX, BX
	VMOVUPD (DI), Y0
	VMOVUPD 32(DI), Y1
	VMOVUPD 64(DI), Y2
	VMOVUPD 96(DI), Y3
	VMOVUPD (DX), Y4
	VMOVUPD 32(DX), Y5
	VMOVUPD 64(DX), Y6
	VMOVUPD 96(DX), Y7

period:
	VBROADCASTSD (SI), Y8
	VMULPD -24(BX), Y8, Y10
	VMULPD -56(BX), Y8, Y11
	VMULPD -88(BX), Y8, Y12
	VMULPD -120(BX), Y8, Y13
	VMULPD Y8, Y8, Y9
	VADDPD Y10, Y0, Y0
	VADDPD Y11, Y1, Y1
	VADDPD Y12, Y2, Y2
	VADDPD Y13, Y3, Y3
	VADDPD Y9, Y4, Y4
	VADDPD Y9, Y5, Y5
	VADDPD Y9, Y6, Y6
	VADDPD Y9, Y7, Y7
	ADDQ $8, SI
	ADDQ $8, BX
	DECQ CX
	JNZ period
	VMOVUPD Y0, (DI)
	VMOVUPD Y1, 32(DI)
	VMOVUPD Y2, 64(DI)
	VMOVUPD Y3, 96(DI)
	VMOVUPD Y4, (DX)
	VMOVUPD Y5, 32(DX)
	VMOVUPD Y6, 64(DX)
	VMOVUPD Y7, 96(DX)
	VZEROUPPER
	RET

// func spansAVX2(running *[4]float64, spans *span, n int, sums *[4]float64)
TEXT ·spansAVX2(SB), NOSPLIT, $0-32
	MOVQ running+0(FP), SI
	MOVQ spans+8(FP), DX
	MOVQ n+16(FP), CX
	MOVQ sums+24(FP), DI
	VXORPD Y0, Y0, Y0

next:
	MOVLQSX (DX), AX
	MOVLQSX 4(DX), BX
	SHLQ $5, AX
	SHLQ $5, BX
	VMOVUPD (SI)(BX*1), Y1
	VSUBPD (SI)(AX*1), Y1, Y1
	VADDPD Y1, Y0, Y0
	ADDQ $8, DX
	DECQ CX
	JNZ next
	VMOVUPD Y0, (DI)
	VZEROUPPER
	RET

// func dotsAVX2(a *float64, b *[4]*float64, n int, sums *[4][4]float64)
// The n numbers are a multiple of four. Each row's four sums are those of dot.
TEXT ·dotsAVX2(SB), NOSPLIT, $0-32
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), AX
	MOVQ n+16(FP), CX
	MOVQ sums+24(FP), DI
	MOVQ (AX), R8
	MOVQ 8(AX), R9
	MOVQ 16(AX), R10
	MOVQ 24(AX), R11
	VXORPD Y0, Y0, Y0
	VXORPD Y1, Y1, Y1
	VXORPD Y2, Y2, Y2
	VXORPD Y3, Y3, Y3
	XORQ BX, BX
	JMP check

four:
	VMOVUPD (SI)(BX*8), Y8
	VMULPD (R8)(BX*8), Y8, Y4
	VMULPD (R9)(BX*8), Y8, Y5
	VMULPD (R10)(BX*8), Y8, Y6
	VMULPD (R11)(BX*8), Y8, Y7
	VADDPD Y4, Y0, Y0
	VADDPD Y5, Y1, Y1
	VADDPD Y6, Y2, Y2
	VADDPD Y7, Y3, Y3
	ADDQ $4, BX

check:
	CMPQ BX, CX
	JLT four
	VMOVUPD Y0, (DI)
	VMOVUPD Y1, 32(DI)
	VMOVUPD Y2, 64(DI)
	VMOVUPD Y3, 96(DI)
	VZEROUPPER
	RET
