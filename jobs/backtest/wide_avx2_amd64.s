#include "textflag.h"

// As wide_amd64.s, but four bars at a time. Each group shifts its bits in: OFF is 32 times the group, AT four times.

#define SHIFT_IN(MASK, AT, R, INTO) \
	VMOVMSKPD MASK, R; \
	SHLQ $AT, R; \
	ORQ R, INTO

#define COMPARE(OFF, AT) \
	VMOVUPD OFF(SI), Y0; \
	VMOVUPD OFF(DI), Y1; \
	VCMPPD $1, Y0, Y1, Y2; \
	VCMPPD $1, Y1, Y0, Y3; \
	SHIFT_IN(Y2, AT, AX, R8); \
	SHIFT_IN(Y3, AT, BX, R9)

// func compareAVX2(a, b *float64, over, under *uint64, words int)
TEXT ·compareAVX2(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DI
	MOVQ over+16(FP), R10
	MOVQ under+24(FP), R11
	MOVQ words+32(FP), CX

word:
	XORL R8, R8
	XORL R9, R9
	COMPARE(0, 0)
	COMPARE(32, 4)
	COMPARE(64, 8)
	COMPARE(96, 12)
	COMPARE(128, 16)
	COMPARE(160, 20)
	COMPARE(192, 24)
	COMPARE(224, 28)
	COMPARE(256, 32)
	COMPARE(288, 36)
	COMPARE(320, 40)
	COMPARE(352, 44)
	COMPARE(384, 48)
	COMPARE(416, 52)
	COMPARE(448, 56)
	COMPARE(480, 60)
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

#define ABOVE(OFF, AT) \
	VMOVUPD OFF(DI), Y1; \
	VCMPPD $1, OFF(SI), Y1, Y2; \
	SHIFT_IN(Y2, AT, AX, R8)

// func aboveAVX2(a *float64, stepA int, b *float64, stepB int, out *uint64, words int)
// The steps are by how many bytes a and b are moved for each word.
TEXT ·aboveAVX2(SB), NOSPLIT, $0-48
	MOVQ a+0(FP), SI
	MOVQ stepA+8(FP), BX
	MOVQ b+16(FP), DI
	MOVQ stepB+24(FP), DX
	MOVQ out+32(FP), R10
	MOVQ words+40(FP), CX

above:
	XORL R8, R8
	ABOVE(0, 0)
	ABOVE(32, 4)
	ABOVE(64, 8)
	ABOVE(96, 12)
	ABOVE(128, 16)
	ABOVE(160, 20)
	ABOVE(192, 24)
	ABOVE(224, 28)
	ABOVE(256, 32)
	ABOVE(288, 36)
	ABOVE(320, 40)
	ABOVE(352, 44)
	ABOVE(384, 48)
	ABOVE(416, 52)
	ABOVE(448, 56)
	ABOVE(480, 60)
	MOVQ R8, (R10)
	ADDQ BX, SI
	ADDQ DX, DI
	ADDQ $8, R10
	DECQ CX
	JNE above
	VZEROUPPER
	RET

#define BANDS(OFF, AT) \
	VMULPD OFF(R9), Y4, Y0; \
	VMOVUPD OFF(R8), Y1; \
	VMOVUPD OFF(SI), Y5; \
	VSUBPD Y0, Y1, Y2; \
	VADDPD Y0, Y1, Y3; \
	VCMPPD $1, Y5, Y2, Y6; \
	VCMPPD $1, Y2, Y5, Y7; \
	VCMPPD $1, Y5, Y3, Y8; \
	VCMPPD $1, Y3, Y5, Y9; \
	SHIFT_IN(Y6, AT, AX, R12); \
	SHIFT_IN(Y7, AT, BX, R13); \
	SHIFT_IN(Y8, AT, AX, R14); \
	SHIFT_IN(Y9, AT, BX, R15)

// func outsideAVX2(closes, mean, dev *float64, width float64, sides *[4]uint64, words int)
TEXT ·outsideAVX2(SB), NOSPLIT, $0-48
	MOVQ closes+0(FP), SI
	MOVQ mean+8(FP), R8
	MOVQ dev+16(FP), R9
	VBROADCASTSD width+24(FP), Y4
	MOVQ sides+32(FP), DI
	MOVQ words+40(FP), CX

outside:
	XORL R12, R12
	XORL R13, R13
	XORL R14, R14
	XORL R15, R15
	BANDS(0, 0)
	BANDS(32, 4)
	BANDS(64, 8)
	BANDS(96, 12)
	BANDS(128, 16)
	BANDS(160, 20)
	BANDS(192, 24)
	BANDS(224, 28)
	BANDS(256, 32)
	BANDS(288, 36)
	BANDS(320, 40)
	BANDS(352, 44)
	BANDS(384, 48)
	BANDS(416, 52)
	BANDS(448, 56)
	BANDS(480, 60)
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
