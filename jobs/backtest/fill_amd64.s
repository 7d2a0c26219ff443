#include "go_asm.h"
#include "textflag.h"

// Bytes from a leg to the next.
#define LEG 192

// func fillAVX512(f *filling, legs *float64, shorts *byte, fills int, relative, whole bool)
// Each fill of all lanes. Lanes that have no more fills keep what they sum.
TEXT ·fillAVX512(SB), NOSPLIT, $0-34
	MOVQ f+0(FP), DI
	MOVQ legs+8(FP), SI
	MOVQ shorts+16(FP), R9
	MOVQ fills+24(FP), CX
	MOVBLZX relative+32(FP), R10
	MOVBLZX whole+33(FP), R11
	VPXORQ Z0, Z0, Z0 // held
	VPXORQ Z1, Z1, Z1 // entry
	VMOVUPD 128(SI), Z2 // cash
	VMOVUPD filling_cost(DI), Z3
	VMOVUPD filling_first(DI), Z4
	VMOVUPD filling_over(DI), Z5
	VMOVUPD filling_squares(DI), Z6
	VMOVUPD filling_pct(DI), Z7
	VMOVUPD filling_profit(DI), Z8
	VMOVUPD filling_loss(DI), Z9
	VMOVDQU64 filling_wins(DI), Z10
	VMOVDQU64 filling_count(DI), Z11
	VMOVUPD filling_size(DI), Z12
	VMOVUPD filling_withCost(DI), Z13
	VMOVUPD filling_rate(DI), Z14
	VPXORQ Z15, Z15, Z15
	MOVQ $0x7fffffffffffffff, AX
	VPBROADCASTQ AX, Z24 // all bits but the sign
	MOVQ $0x8000000000000000, AX
	VPBROADCASTQ AX, Z25 // the sign
	MOVQ $0x7fefffffffffffff, AX
	VPBROADCASTQ AX, Z26 // the largest number
	MOVQ $0x4059000000000000, AX
	VPBROADCASTQ AX, Z27 // 100
	MOVQ $1, AX
	VPBROADCASTQ AX, Z28
	KXORB K6, K6, K6 // unfit
	XORQ BX, BX

fill:
	VPBROADCASTQ BX, Z16
	VPCMPQ $6, Z16, Z11, K1 // has this fill
	VMOVUPD (LEG+64)(SI), Z17 // price
	TESTQ BX, BX
	JEQ enter
	VSUBPD Z1, Z17, Z18
	VMULPD Z18, Z0, Z18 // gross
	VMULPD Z17, Z0, Z19
	VPANDQ Z24, Z19, Z19
	VMULPD Z14, Z19, Z19 // commission
	VSUBPD Z19, Z18, Z20
	VADDPD Z20, Z2, K1, Z2
	VSUBPD Z3, Z18, Z18
	VSUBPD Z19, Z18, Z18 // pnl
	VMULPD Z18, Z27, Z20
	VPANDQ Z24, Z0, Z21
	VMULPD Z1, Z21, Z21
	VDIVPD Z21, Z20, Z20
	VADDPD Z20, Z7, K1, Z7
	CMPQ BX, $1
	JNE later
	VMOVAPD Z18, K1, Z4

later:
	VSUBPD Z4, Z18, Z20
	VADDPD Z20, Z5, K1, Z5
	VMULPD Z20, Z20, Z20
	VADDPD Z20, Z6, K1, Z6
	VCMPPD $30, Z15, Z18, K1, K2 // won
	KANDNB K1, K2, K3
	VPADDQ Z28, Z10, K2, Z10
	VADDPD Z18, Z8, K2, Z8
	VSUBPD Z18, Z9, K3, Z9

enter:
	VMULPD Z13, Z17, Z20 // what a unit costs
	TESTL R10, R10
	JEQ units
	VMULPD Z12, Z2, Z21
	VDIVPD Z20, Z21, Z21
	TESTL R11, R11
	JEQ entered
	VCVTTPD2QQ Z21, Z21
	VCVTQQ2PD Z21, Z21
	JMP entered

units:
	VMULPD Z20, Z12, Z22
	VCMPPD $30, Z2, Z22, K4 // not paid for
	KNOTB K4, K4
	VMOVAPD.Z Z12, K4, Z21

entered:
	VMULPD Z17, Z21, Z22
	VMULPD Z14, Z22, Z22
	VMOVAPD Z22, K1, Z3
	VSUBPD Z22, Z2, K1, Z2
	VCMPPD $30, Z15, Z21, K4
	VCMPPD $18, Z26, Z2, K4, K4
	KANDNB K1, K4, K4
	KORB K4, K6, K6
	MOVBLZX (R9)(BX*1), AX
	KMOVB AX, K5
	VPORQ Z25, Z21, K5, Z21
	VMOVAPD Z21, Z0
	VMOVAPD Z17, Z1
	VMOVUPD Z21, LEG(SI)
	VMOVUPD Z2, (LEG+128)(SI)
	ADDQ $LEG, SI
	INCQ BX
	CMPQ BX, CX
	JLT fill

	VMOVUPD Z3, filling_cost(DI)
	VMOVUPD Z4, filling_first(DI)
	VMOVUPD Z5, filling_over(DI)
	VMOVUPD Z6, filling_squares(DI)
	VMOVUPD Z7, filling_pct(DI)
	VMOVUPD Z8, filling_profit(DI)
	VMOVUPD Z9, filling_loss(DI)
	VMOVDQU64 Z10, filling_wins(DI)
	KMOVB K6, AX
	MOVQ AX, filling_unfit(DI)
	VZEROUPPER
	RET
