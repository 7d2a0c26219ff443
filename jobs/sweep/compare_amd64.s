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
