#include "textflag.h"

// func holdAVX2(equity, closes *float64, bars int, units, entry, cash float64) int
TEXT ·holdAVX2(SB), NOSPLIT, $0-56
	MOVQ equity+0(FP), DI
	MOVQ closes+8(FP), SI
	MOVQ bars+16(FP), CX
	VBROADCASTSD units+24(FP), Y4
	VBROADCASTSD entry+32(FP), Y5
	VBROADCASTSD cash+40(FP), Y6
	VXORPD Y7, Y7, Y7
	XORQ AX, AX

hold:
	CMPQ AX, CX
	JGE held
	VMOVUPD (SI)(AX*8), Y0
	VSUBPD Y5, Y0, Y0
	VMULPD Y4, Y0, Y0
	VADDPD Y6, Y0, Y0
	VCMPPD $2, Y7, Y0, Y1 // not above zero
	VMOVMSKPD Y1, DX
	TESTL DX, DX
	JNE held
	VMOVUPD Y0, (DI)(AX*8)
	ADDQ $4, AX
	JMP hold

held:
	MOVQ AX, ret+48(FP)
	VZEROUPPER
	RET

// func guardAVX2(equity, closes, lows, highs *float64, bars int, units, entry, cash, lower, upper float64) int
TEXT ·guardAVX2(SB), NOSPLIT, $0-88
	MOVQ equity+0(FP), DI
	MOVQ closes+8(FP), SI
	MOVQ lows+16(FP), R8
	MOVQ highs+24(FP), R9
	MOVQ bars+32(FP), CX
	VBROADCASTSD units+40(FP), Y4
	VBROADCASTSD entry+48(FP), Y5
	VBROADCASTSD cash+56(FP), Y6
	VBROADCASTSD lower+64(FP), Y8
	VBROADCASTSD upper+72(FP), Y9
	VXORPD Y7, Y7, Y7
	XORQ AX, AX

guard:
	CMPQ AX, CX
	JGE guarded
	VMOVUPD (SI)(AX*8), Y0
	VSUBPD Y5, Y0, Y0
	VMULPD Y4, Y0, Y0
	VADDPD Y6, Y0, Y0
	VCMPPD $2, Y7, Y0, Y1 // not above zero
	VCMPPD $13, (R8)(AX*8), Y8, Y2 // the level is at or above the low
	VCMPPD $2, (R9)(AX*8), Y9, Y3 // the level is at or below the high
	VORPD Y1, Y2, Y1
	VORPD Y1, Y3, Y1
	VMOVMSKPD Y1, DX
	TESTL DX, DX
	JNE guarded
	VMOVUPD Y0, (DI)(AX*8)
	ADDQ $4, AX
	JMP guard

guarded:
	MOVQ AX, ret+80(FP)
	VZEROUPPER
	RET

// func quietAVX2(equity *float64, bars int, floor, peak float64) int
TEXT ·quietAVX2(SB), NOSPLIT, $0-40
	MOVQ equity+0(FP), SI
	MOVQ bars+8(FP), CX
	VBROADCASTSD floor+16(FP), Y4
	VBROADCASTSD peak+24(FP), Y5
	XORQ AX, AX

quiet:
	CMPQ AX, CX
	JGE loud
	VMOVUPD (SI)(AX*8), Y0
	VCMPPD $9, Y4, Y0, Y1 // not at or above the floor
	VCMPPD $13, Y5, Y0, Y2 // at or above the peak
	VORPD Y1, Y2, Y1
	VMOVMSKPD Y1, DX
	TESTL DX, DX
	JNE loud
	ADDQ $4, AX
	JMP quiet

loud:
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// One bar of four trials: E is their equity, LAST that of the bar before. Products are rounded before they are added.
#define BAR(E, LAST) \
	VSUBPD LAST, E, Y7; \
	VDIVPD LAST, Y7, Y7; \
	VMULPD Y7, Y7, Y8; \
	VCMPPD $1, Y6, Y7, Y9; \
	VANDPD Y8, Y9, Y14; \
	VANDNPD Y8, Y9, Y15; \
	VADDPD Y7, Y1, Y1; \
	VADDPD Y15, Y2, Y2; \
	VADDPD Y14, Y3, Y3; \
	VMULPD Y8, Y7, Y14; \
	VADDPD Y14, Y4, Y4; \
	VMULPD Y8, Y8, Y15; \
	VADDPD Y15, Y5, Y5

// func sumAVX2(sums *laneSums, equity *[Lanes]*float64, bars int)
TEXT ·sumAVX2(SB), NOSPLIT, $0-24
	MOVQ sums+0(FP), DI
	MOVQ equity+8(FP), SI
	MOVQ bars+16(FP), CX
	MOVQ (SI), R8
	MOVQ 8(SI), R9
	MOVQ 16(SI), R10
	MOVQ 24(SI), R11
	VMOVUPD (DI), Y0
	VMOVUPD 32(DI), Y1
	VMOVUPD 64(DI), Y2
	VMOVUPD 96(DI), Y3
	VMOVUPD 128(DI), Y4
	VMOVUPD 160(DI), Y5
	VXORPD Y6, Y6, Y6
	XORQ AX, AX

sum:
	CMPQ AX, CX
	JGE summed
	// Two bars of each trial become four trials of each bar.
	VMOVUPD (R8)(AX*8), X8
	VINSERTF128 $1, (R10)(AX*8), Y8, Y8
	VMOVUPD (R9)(AX*8), X9
	VINSERTF128 $1, (R11)(AX*8), Y9, Y9
	VUNPCKLPD Y9, Y8, Y10
	VUNPCKHPD Y9, Y8, Y11
	BAR(Y10, Y0)
	BAR(Y11, Y10)
	VMOVAPD Y11, Y0
	ADDQ $2, AX
	JMP sum

summed:
	VMOVUPD Y0, (DI)
	VMOVUPD Y1, 32(DI)
	VMOVUPD Y2, 64(DI)
	VMOVUPD Y3, 96(DI)
	VMOVUPD Y4, 128(DI)
	VMOVUPD Y5, 160(DI)
	VZEROUPPER
	RET
