#include "textflag.h"

// func spanAVX2(out, from, to *float64, count int)
TEXT ·spanAVX2(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ to+16(FP), R8
	MOVQ count+24(FP), CX
	XORQ AX, AX

span:
	VMOVUPD (R8)(AX*8), Y0
	VSUBPD (SI)(AX*8), Y0, Y0
	VADDPD (DI)(AX*8), Y0, Y0
	VMOVUPD Y0, (DI)(AX*8)
	ADDQ $4, AX
	CMPQ AX, CX
	JLT span
	VZEROUPPER
	RET
