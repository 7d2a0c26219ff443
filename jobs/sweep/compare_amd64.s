#include "textflag.h"

// func compareAVX2(lower, upper *tileSums, low, high float32) (under, notOver uint64)
// Each step takes eight trials, from the last to the first, and shifts their bits in.
TEXT ·compareAVX2(SB), NOSPLIT, $0-40
	MOVQ lower+0(FP), SI
	MOVQ upper+8(FP), DI
	VBROADCASTSS low+16(FP), Y8
	VBROADCASTSS high+20(FP), Y9
	VPCMPEQD Y10, Y10, Y10
	VPSRLD $1, Y10, Y10 // all bits but the sign
	XORQ R8, R8
	XORQ R9, R9
	MOVQ $224, CX

step:
	VMOVUPS (SI)(CX*1), Y0
	VADDPS (DI)(CX*1), Y0, Y0
	VMOVUPS 256(SI)(CX*1), Y1
	VADDPS 256(DI)(CX*1), Y1, Y1
	VANDPS Y10, Y0, Y2
	VMULPS Y0, Y2, Y2
	VMULPS Y8, Y1, Y3
	VMULPS Y9, Y1, Y4
	VCMPPS $1, Y3, Y2, Y3
	VCMPPS $2, Y4, Y2, Y4
	VMOVMSKPS Y3, AX
	VMOVMSKPS Y4, BX
	SHLQ $8, R8
	SHLQ $8, R9
	ORQ AX, R8
	ORQ BX, R9
	SUBQ $32, CX
	JGE step
	MOVQ R8, under+24(FP)
	MOVQ R9, notOver+32(FP)
	VZEROUPPER
	RET

// func addAVX2(out, a, b *tileSums)
TEXT ·addAVX2(SB), NOSPLIT, $0-24
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ $448, CX

add:
	VMOVUPS (SI)(CX*1), Y0
	VADDPS (DX)(CX*1), Y0, Y0
	VMOVUPS 32(SI)(CX*1), Y1
	VADDPS 32(DX)(CX*1), Y1, Y1
	VMOVUPS Y0, (DI)(CX*1)
	VMOVUPS Y1, 32(DI)(CX*1)
	SUBQ $64, CX
	JGE add
	VZEROUPPER
	RET

// Sixteen trials: OFF is four times the first, AT is the first.
#define COMPARE(OFF, AT) \
	VMOVUPS OFF(SI), Z0; \
	VADDPS OFF(DI), Z0, Z0; \
	VMOVUPS 256+OFF(SI), Z1; \
	VADDPS 256+OFF(DI), Z1, Z1; \
	VPANDD Z10, Z0, Z2; \
	VMULPS Z0, Z2, Z2; \
	VMULPS Z8, Z1, Z3; \
	VMULPS Z9, Z1, Z4; \
	VCMPPS $1, Z3, Z2, K1; \
	VCMPPS $2, Z4, Z2, K2; \
	KMOVW K1, AX; \
	KMOVW K2, BX; \
	SHLQ $AT, AX; \
	SHLQ $AT, BX; \
	ORQ AX, R8; \
	ORQ BX, R9

// func compareAVX512(lower, upper *tileSums, low, high float32) (under, notOver uint64)
TEXT ·compareAVX512(SB), NOSPLIT, $0-40
	MOVQ lower+0(FP), SI
	MOVQ upper+8(FP), DI
	VBROADCASTSS low+16(FP), Z8
	VBROADCASTSS high+20(FP), Z9
	VPTERNLOGD $0xff, Z10, Z10, Z10
	VPSRLD $1, Z10, Z10 // all bits but the sign
	XORQ R8, R8
	XORQ R9, R9
	COMPARE(0, 0)
	COMPARE(64, 16)
	COMPARE(128, 32)
	COMPARE(192, 48)
	MOVQ R8, under+24(FP)
	MOVQ R9, notOver+32(FP)
	VZEROUPPER
	RET
