#include "textflag.h"

// func addAVX2(out, a, b *columnSums)
TEXT ·addAVX2(SB), NOSPLIT, $0-24
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VADDPS (DX), Y0, Y0
	VADDPS 32(DX), Y1, Y1
	VADDPS 64(DX), Y2, Y2
	VADDPS 96(DX), Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	VZEROUPPER
	RET

// Bytes from a column to the next.
#define COLUMN 32768

// The trials that a step takes in one half: s·|s| in V2, q in V1. The sums over the upper blocks are in S and Q, all bits
// but the sign in ABS.
#define SUMS(AND, S, Q, ABS, V0, V1, V2) \
	MOVL (R9)(CX*4), AX; \
	VADDPS (DI)(AX*1), S, V0; \
	VADDPS 64(DI)(AX*1), Q, V1; \
	AND ABS, V0, V2; \
	VMULPS V0, V2, V2

// Keeps the greatest of the eight in Y2 as the peak of a half.
#define PEAK_OF_8 \
	VEXTRACTF128 $1, Y2, X3; \
	VMAXPS X3, X2, X2; \
	VPERMILPS $0x4e, X2, X3; \
	VMAXPS X3, X2, X2; \
	VPERMILPS $0xb1, X2, X3; \
	VMAXPS X3, X2, X2; \
	VMOVSS X2, (R10)(CX*4)

// A column takes two passes of eight trials: SI and DI go to its other eight, or to the next column. DX counts passes.
#define NEXT_HALF_COLUMN \
	MOVQ $32, AX; \
	MOVQ $(COLUMN-32), BX; \
	TESTQ $1, DX; \
	CMOVQEQ BX, AX; \
	ADDQ AX, SI; \
	ADDQ AX, DI; \
	TESTQ DX, DX

// func peaksAVX512(upper, lower *columnSums, lowers *uint32, halves int, low *float32)
// A quotient that is not a number leaves the peak, which is the second operand.
TEXT ·peaksAVX512(SB), NOSPLIT, $0-40
	MOVQ upper+0(FP), SI
	MOVQ lower+8(FP), DI
	MOVQ lowers+16(FP), R9
	MOVQ halves+24(FP), R8
	MOVQ low+32(FP), R10
	VPTERNLOGD $0xff, Z10, Z10, Z10
	VPSRLD $1, Z10, Z10
	MOVQ $4, DX

column:
	VMOVUPS (SI), Z8
	VMOVUPS 64(SI), Z9
	XORQ CX, CX

half:
	SUMS(VPANDD, Z8, Z9, Z10, Z0, Z1, Z2)
	VDIVPS Z1, Z2, Z2
	VBROADCASTSS (R10)(CX*4), Z3
	VMAXPS Z3, Z2, Z2
	VEXTRACTF64X4 $1, Z2, Y3
	VMAXPS Y3, Y2, Y2
	PEAK_OF_8
	INCQ CX
	CMPQ CX, R8
	JLT half
	ADDQ $COLUMN, SI
	ADDQ $COLUMN, DI
	DECQ DX
	JNE column
	VZEROUPPER
	RET

// func underAVX512(upper, lower *columnSums, lowers *uint32, halves int, low *float32, under *uint64)
TEXT ·underAVX512(SB), NOSPLIT, $0-48
	MOVQ upper+0(FP), SI
	MOVQ lower+8(FP), DI
	MOVQ lowers+16(FP), R9
	MOVQ halves+24(FP), R8
	MOVQ low+32(FP), R10
	MOVQ under+40(FP), R12
	VPTERNLOGD $0xff, Z10, Z10, Z10
	VPSRLD $1, Z10, Z10
	MOVQ $4, DX

column:
	VMOVUPS (SI), Z8
	VMOVUPS 64(SI), Z9
	XORQ CX, CX

half:
	SUMS(VPANDD, Z8, Z9, Z10, Z0, Z1, Z2)
	VMULPS.BCST (R10)(CX*4), Z1, Z3
	VCMPPS $1, Z3, Z2, K1
	KMOVW K1, (R12)(CX*8)
	INCQ CX
	CMPQ CX, R8
	JLT half
	ADDQ $COLUMN, SI
	ADDQ $COLUMN, DI
	ADDQ $2, R12
	DECQ DX
	JNE column
	VZEROUPPER
	RET

// func rankAVX512(upper, lower *columnSums, lowers *uint32, halves int, low, high *float32, under, within *uint64)
TEXT ·rankAVX512(SB), NOSPLIT, $0-64
	MOVQ upper+0(FP), SI
	MOVQ lower+8(FP), DI
	MOVQ lowers+16(FP), R9
	MOVQ halves+24(FP), R8
	MOVQ low+32(FP), R10
	MOVQ high+40(FP), R11
	MOVQ under+48(FP), R12
	MOVQ within+56(FP), R13
	VPTERNLOGD $0xff, Z10, Z10, Z10
	VPSRLD $1, Z10, Z10
	MOVQ $4, DX

column:
	VMOVUPS (SI), Z8
	VMOVUPS 64(SI), Z9
	XORQ CX, CX

half:
	SUMS(VPANDD, Z8, Z9, Z10, Z0, Z1, Z2)
	VMULPS.BCST (R10)(CX*4), Z1, Z3
	VMULPS.BCST (R11)(CX*4), Z1, Z4
	VCMPPS $1, Z3, Z2, K1
	VCMPPS $2, Z4, Z2, K2
	KMOVW K1, (R12)(CX*8)
	KMOVW K2, (R13)(CX*8)
	INCQ CX
	CMPQ CX, R8
	JLT half
	ADDQ $COLUMN, SI
	ADDQ $COLUMN, DI
	ADDQ $2, R12
	ADDQ $2, R13
	DECQ DX
	JNE column
	VZEROUPPER
	RET

// func peaksAVX2(upper, lower *columnSums, lowers *uint32, halves int, low *float32)
// Each column takes two passes.
TEXT ·peaksAVX2(SB), NOSPLIT, $0-40
	MOVQ upper+0(FP), SI
	MOVQ lower+8(FP), DI
	MOVQ lowers+16(FP), R9
	MOVQ halves+24(FP), R8
	MOVQ low+32(FP), R10
	VPCMPEQD Y10, Y10, Y10
	VPSRLD $1, Y10, Y10
	MOVQ $8, DX

column:
	VMOVUPS (SI), Y8
	VMOVUPS 64(SI), Y9
	XORQ CX, CX

half:
	SUMS(VANDPS, Y8, Y9, Y10, Y0, Y1, Y2)
	VDIVPS Y1, Y2, Y2
	VBROADCASTSS (R10)(CX*4), Y3
	VMAXPS Y3, Y2, Y2
	PEAK_OF_8
	INCQ CX
	CMPQ CX, R8
	JLT half
	DECQ DX
	NEXT_HALF_COLUMN
	JNE column
	VZEROUPPER
	RET

// func underAVX2(upper, lower *columnSums, lowers *uint32, halves int, low *float32, under *uint64)
TEXT ·underAVX2(SB), NOSPLIT, $0-48
	MOVQ upper+0(FP), SI
	MOVQ lower+8(FP), DI
	MOVQ lowers+16(FP), R9
	MOVQ halves+24(FP), R8
	MOVQ low+32(FP), R10
	MOVQ under+40(FP), R12
	VPCMPEQD Y10, Y10, Y10
	VPSRLD $1, Y10, Y10
	MOVQ $8, DX

column:
	VMOVUPS (SI), Y8
	VMOVUPS 64(SI), Y9
	XORQ CX, CX

half:
	SUMS(VANDPS, Y8, Y9, Y10, Y0, Y1, Y2)
	VBROADCASTSS (R10)(CX*4), Y3
	VMULPS Y3, Y1, Y3
	VCMPPS $1, Y3, Y2, Y3
	VMOVMSKPS Y3, AX
	MOVB AX, (R12)(CX*8)
	INCQ CX
	CMPQ CX, R8
	JLT half
	INCQ R12
	DECQ DX
	NEXT_HALF_COLUMN
	JNE column
	VZEROUPPER
	RET

// func rankAVX2(upper, lower *columnSums, lowers *uint32, halves int, low, high *float32, under, within *uint64)
TEXT ·rankAVX2(SB), NOSPLIT, $0-64
	MOVQ upper+0(FP), SI
	MOVQ lower+8(FP), DI
	MOVQ lowers+16(FP), R9
	MOVQ halves+24(FP), R8
	MOVQ low+32(FP), R10
	MOVQ high+40(FP), R11
	MOVQ under+48(FP), R12
	MOVQ within+56(FP), R13
	VPCMPEQD Y10, Y10, Y10
	VPSRLD $1, Y10, Y10
	MOVQ $8, DX

column:
	VMOVUPS (SI), Y8
	VMOVUPS 64(SI), Y9
	XORQ CX, CX

half:
	SUMS(VANDPS, Y8, Y9, Y10, Y0, Y1, Y2)
	VBROADCASTSS (R10)(CX*4), Y3
	VBROADCASTSS (R11)(CX*4), Y4
	VMULPS Y3, Y1, Y3
	VMULPS Y4, Y1, Y4
	VCMPPS $1, Y3, Y2, Y3
	VCMPPS $2, Y4, Y2, Y4
	VMOVMSKPS Y3, AX
	VMOVMSKPS Y4, BX
	MOVB AX, (R12)(CX*8)
	MOVB BX, (R13)(CX*8)
	INCQ CX
	CMPQ CX, R8
	JLT half
	INCQ R12
	INCQ R13
	DECQ DX
	NEXT_HALF_COLUMN
	JNE column
	VZEROUPPER
	RET
