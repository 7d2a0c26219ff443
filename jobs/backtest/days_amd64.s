#include "textflag.h"

// func returnsAVX512(last *[Lanes]float64, rows *float64, ends *int32, days, first int, returns *float64)
TEXT ·returnsAVX512(SB), NOSPLIT, $0-48
	MOVQ last+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ ends+16(FP), R9
	MOVQ days+24(FP), CX
	MOVQ first+32(FP), R13
	MOVQ returns+40(FP), R8
	VMOVUPD (DI), Z0
	VPXORQ Z3, Z3, Z3
	XORQ BX, BX

day:
	MOVLQSX (R9)(BX*4), AX
	SUBQ R13, AX
	SHLQ $6, AX
	VMOVUPD (SI)(AX*1), Z1
	VCMPPD $14, Z3, Z0, K1 // not ruined
	VSUBPD Z0, Z1, Z2
	VDIVPD.Z Z0, Z2, K1, Z2
	VMOVUPD Z2, (R8)
	VMOVAPD Z1, Z0
	ADDQ $64, R8
	INCQ BX
	CMPQ BX, CX
	JLT day
	VMOVUPD Z0, (DI)
	VZEROUPPER
	RET

// func momentsAVX512(m *laneMoments, returns *float64, periods int)
TEXT ·momentsAVX512(SB), NOSPLIT, $0-24
	MOVQ m+0(FP), DI
	MOVQ returns+8(FP), SI
	MOVQ periods+16(FP), CX
	VPXORQ Z0, Z0, Z0 // mean
	VPXORQ Z1, Z1, Z1 // squares
	VPXORQ Z2, Z2, Z2 // cubes
	VPXORQ Z3, Z3, Z3 // fourth powers
	VPXORQ Z4, Z4, Z4 // squares of losses
	VPXORQ Z5, Z5, Z5
	CVTSQ2SD CX, X6
	VBROADCASTSD X6, Z6
	MOVQ SI, R8
	MOVQ CX, BX

mean:
	VADDPD (R8), Z0, Z0
	ADDQ $64, R8
	DECQ BX
	JNE mean
	VDIVPD Z6, Z0, Z0

power:
	VMOVUPD (SI), Z7
	VSUBPD Z0, Z7, Z8
	VMULPD Z8, Z8, Z9
	VADDPD Z9, Z1, Z1
	VMULPD Z8, Z9, Z10
	VADDPD Z10, Z2, Z2
	VMULPD Z9, Z9, Z11
	VADDPD Z11, Z3, Z3
	VMINPD Z7, Z5, Z12 // a return that is not a number stays
	VMULPD Z12, Z12, Z12
	VADDPD Z12, Z4, Z4
	ADDQ $64, SI
	DECQ CX
	JNE power
	VMOVUPD Z0, (DI)
	VMOVUPD Z1, 64(DI)
	VMOVUPD Z2, 128(DI)
	VMOVUPD Z3, 192(DI)
	VMOVUPD Z4, 256(DI)
	VZEROUPPER
	RET
