#include "textflag.h"

// func quietAVX512(equity *float64, bars int, floor, peak float64) int
TEXT ·quietAVX512(SB), NOSPLIT, $0-40
	MOVQ equity+0(FP), SI
	MOVQ bars+8(FP), CX
	VBROADCASTSD floor+16(FP), Z4
	VBROADCASTSD peak+24(FP), Z5
	XORQ AX, AX

quiet:
	CMPQ AX, CX
	JGE silent
	VMOVUPD (SI)(AX*8), Z0
	VCMPPD $9, Z4, Z0, K1 // not at or above the floor
	VCMPPD $13, Z5, Z0, K2 // at or above the peak
	KORTESTB K1, K2
	JNE loud
	ADDQ $8, AX
	JMP quiet

loud:
	KORB K1, K2, K1
	KMOVB K1, DX
	TZCNTQ DX, DX
	ADDQ DX, AX

silent:
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// Eight bars, whose bits are shifted in: OFF is 64 times the group, AT eight times.
#define COMPARE(OFF, AT) \
	VMOVUPD OFF(SI), Z0; \
	VMOVUPD OFF(DI), Z1; \
	VCMPPD $1, Z0, Z1, K1; \
	VCMPPD $1, Z1, Z0, K2; \
	KMOVB K1, AX; \
	KMOVB K2, BX; \
	SHLQ $AT, AX; \
	SHLQ $AT, BX; \
	ORQ AX, R8; \
	ORQ BX, R9

// func compareAVX512(a, b *float64, over, under *uint64, words int)
TEXT ·compareAVX512(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DI
	MOVQ over+16(FP), R10
	MOVQ under+24(FP), R11
	MOVQ words+32(FP), CX

word:
	XORQ R8, R8
	XORQ R9, R9
	COMPARE(0, 0)
	COMPARE(64, 8)
	COMPARE(128, 16)
	COMPARE(192, 24)
	COMPARE(256, 32)
	COMPARE(320, 40)
	COMPARE(384, 48)
	COMPARE(448, 56)
	MOVQ R8, (R10)
	MOVQ R9, (R11)
	ADDQ $512, SI
	ADDQ $512, DI
	ADDQ $8, R10
	ADDQ $8, R11
	DECQ CX
	JNE word
	VZEROUPPER
	RET

// Eight bars, whose bits are shifted in: OFF is 64 times the group, AT eight times.
#define ABOVE(OFF, AT) \
	VMOVUPD OFF(DI), Z1; \
	VCMPPD $1, OFF(SI), Z1, K1; \
	KMOVB K1, AX; \
	SHLQ $AT, AX; \
	ORQ AX, R8

// func aboveAVX512(a *float64, stepA int, b *float64, stepB int, out *uint64, words int)
// The steps are by how many bytes a and b are moved for each word.
TEXT ·aboveAVX512(SB), NOSPLIT, $0-48
	MOVQ a+0(FP), SI
	MOVQ stepA+8(FP), BX
	MOVQ b+16(FP), DI
	MOVQ stepB+24(FP), DX
	MOVQ out+32(FP), R10
	MOVQ words+40(FP), CX

above:
	XORQ R8, R8
	ABOVE(0, 0)
	ABOVE(64, 8)
	ABOVE(128, 16)
	ABOVE(192, 24)
	ABOVE(256, 32)
	ABOVE(320, 40)
	ABOVE(384, 48)
	ABOVE(448, 56)
	MOVQ R8, (R10)
	ADDQ BX, SI
	ADDQ DX, DI
	ADDQ $8, R10
	DECQ CX
	JNE above
	VZEROUPPER
	RET

#define BANDS(OFF, AT) \
	VMULPD OFF(R9), Z4, Z0; \
	VMOVUPD OFF(R8), Z1; \
	VMOVUPD OFF(SI), Z5; \
	VSUBPD Z0, Z1, Z2; \
	VADDPD Z0, Z1, Z3; \
	VCMPPD $1, Z5, Z2, K1; \
	VCMPPD $1, Z2, Z5, K2; \
	VCMPPD $1, Z5, Z3, K3; \
	VCMPPD $1, Z3, Z5, K4; \
	KMOVB K1, AX; \
	KMOVB K2, BX; \
	SHLQ $AT, AX; \
	SHLQ $AT, BX; \
	ORQ AX, R12; \
	ORQ BX, R13; \
	KMOVB K3, AX; \
	KMOVB K4, BX; \
	SHLQ $AT, AX; \
	SHLQ $AT, BX; \
	ORQ AX, R14; \
	ORQ BX, R15

// func outsideAVX512(closes, mean, dev *float64, width float64, sides *[4]uint64, words int)
TEXT ·outsideAVX512(SB), NOSPLIT, $0-48
	MOVQ closes+0(FP), SI
	MOVQ mean+8(FP), R8
	MOVQ dev+16(FP), R9
	VBROADCASTSD width+24(FP), Z4
	MOVQ sides+32(FP), DI
	MOVQ words+40(FP), CX

outside:
	XORQ R12, R12
	XORQ R13, R13
	XORQ R14, R14
	XORQ R15, R15
	BANDS(0, 0)
	BANDS(64, 8)
	BANDS(128, 16)
	BANDS(192, 24)
	BANDS(256, 32)
	BANDS(320, 40)
	BANDS(384, 48)
	BANDS(448, 56)
	MOVQ R12, (DI)
	MOVQ R13, 8(DI)
	MOVQ R14, 16(DI)
	MOVQ R15, 24(DI)
	ADDQ $512, SI
	ADDQ $512, R8
	ADDQ $512, R9
	ADDQ $32, DI
	DECQ CX
	JNE outside
	VZEROUPPER
	RET
