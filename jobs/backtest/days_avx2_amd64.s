#include "textflag.h"

// func returnsAVX2(last, rows *float64, ends *int32, days, first int, returns *float64)
// returnsAVX512 of four lanes, of which the first is at each pointer.
TEXT ·returnsAVX2(SB), NOSPLIT, $0-48
	MOVQ last+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ ends+16(FP), R9
	MOVQ days+24(FP), CX
	MOVQ first+32(FP), R13
	MOVQ returns+40(FP), R8
	VMOVUPD (DI), Y0
	VXORPD Y3, Y3, Y3
	XORQ BX, BX

day:
	MOVLQSX (R9)(BX*4), AX
	SUBQ R13, AX
	SHLQ $6, AX
	VMOVUPD (SI)(AX*1), Y1
	VCMPPD $14, Y3, Y0, Y4 // not ruined
	VSUBPD Y0, Y1, Y2
	VDIVPD Y0, Y2, Y2
	VANDPD Y4, Y2, Y2
	VMOVUPD Y2, (R8)
	VMOVAPD Y1, Y0
	ADDQ $64, R8
	INCQ BX
	CMPQ BX, CX
	JLT day
	VMOVUPD Y0, (DI)
	VZEROUPPER
	RET

// func momentsAVX2(m, returns *float64, periods int)
// momentsAVX512 of four lanes, of which the first is at each pointer.
TEXT ·momentsAVX2(SB), NOSPLIT, $0-24
	MOVQ m+0(FP), DI
	MOVQ returns+8(FP), SI
	MOVQ periods+16(FP), CX
	VXORPD Y0, Y0, Y0 // mean
	VXORPD Y1, Y1, Y1 // squares
	VXORPD Y2, Y2, Y2 // cubes
	VXORPD Y3, Y3, Y3 // fourth powers
	VXORPD Y4, Y4, Y4 // squares of losses
	VXORPD Y5, Y5, Y5
	VXORPD X6, X6, X6
	CVTSQ2SD CX, X6
	VBROADCASTSD X6, Y6
	MOVQ SI, R8
	MOVQ CX, BX

mean:
	VADDPD (R8), Y0, Y0
	ADDQ $64, R8
	DECQ BX
	JNE mean
	VDIVPD Y6, Y0, Y0

power:
	VMOVUPD (SI), Y7
	VSUBPD Y0, Y7, Y8
	VMULPD Y8, Y8, Y9
	VADDPD Y9, Y1, Y1
	VMULPD Y8, Y9, Y10
	VADDPD Y10, Y2, Y2
	VMULPD Y9, Y9, Y11
	VADDPD Y11, Y3, Y3
	VMINPD Y7, Y5, Y12 // a return that is not a number stays
	VMULPD Y12, Y12, Y12
	VADDPD Y12, Y4, Y4
	ADDQ $64, SI
	DECQ CX
	JNE power
	VMOVUPD Y0, (DI)
	VMOVUPD Y1, 64(DI)
	VMOVUPD Y2, 128(DI)
	VMOVUPD Y3, 192(DI)
	VMOVUPD Y4, 256(DI)
	VZEROUPPER
	RET
