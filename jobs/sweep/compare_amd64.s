#include "textflag.h"

// func compareAVX2(lower, upper *tileSums, low, high float64) (under, notOver uint64)
// Each step takes four trials, from the last to the first, and shifts their bits in.
TEXT ·compareAVX2(SB), NOSPLIT, $0-48
	MOVQ lower+0(FP), SI
	MOVQ upper+8(FP), DI
	VBROADCASTSD low+16(FP), Y8
	VBROADCASTSD high+24(FP), Y9
	VPCMPEQD Y10, Y10, Y10
	VPSRLQ $1, Y10, Y10 // all bits but the sign
	XORQ R8, R8
	XORQ R9, R9
	MOVQ $480, CX

step:
	VMOVUPD (SI)(CX*1), Y0
	VADDPD (DI)(CX*1), Y0, Y0
	VMOVUPD 512(SI)(CX*1), Y1
	VADDPD 512(DI)(CX*1), Y1, Y1
	VANDPD Y10, Y0, Y2
	VMULPD Y0, Y2, Y2
	VMULPD Y8, Y1, Y3
	VMULPD Y9, Y1, Y4
	VCMPPD $1, Y3, Y2, Y3
	VCMPPD $2, Y4, Y2, Y4
	VMOVMSKPD Y3, AX
	VMOVMSKPD Y4, BX
	SHLQ $4, R8
	SHLQ $4, R9
	ORQ AX, R8
	ORQ BX, R9
	SUBQ $32, CX
	JGE step
	MOVQ R8, under+32(FP)
	MOVQ R9, notOver+40(FP)
	VZEROUPPER
	RET
