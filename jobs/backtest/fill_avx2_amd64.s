#include "go_asm.h"
#include "textflag.h"

// DI is at the first half of the first row of filling, or at the second: all rows are that far from it.

// Bytes from a leg to the next.
#define LEG 192

// Four times all bits but the sign.
DATA unsigned<>+0(SB)/8, $0x7fffffffffffffff
DATA unsigned<>+8(SB)/8, $0x7fffffffffffffff
DATA unsigned<>+16(SB)/8, $0x7fffffffffffffff
DATA unsigned<>+24(SB)/8, $0x7fffffffffffffff
GLOBL unsigned<>(SB), RODATA|NOPTR, $32

// Four times the sign.
DATA sign<>+0(SB)/8, $0x8000000000000000
DATA sign<>+8(SB)/8, $0x8000000000000000
DATA sign<>+16(SB)/8, $0x8000000000000000
DATA sign<>+24(SB)/8, $0x8000000000000000
GLOBL sign<>(SB), RODATA|NOPTR, $32

// By how much the bit of each lane is shifted to be the sign.
DATA toSign<>+0(SB)/8, $63
DATA toSign<>+8(SB)/8, $62
DATA toSign<>+16(SB)/8, $61
DATA toSign<>+24(SB)/8, $60
GLOBL toSign<>(SB), RODATA|NOPTR, $32

DATA hundred<>+0(SB)/8, $100.0
GLOBL hundred<>(SB), RODATA|NOPTR, $8

// The largest number.
DATA largest<>+0(SB)/8, $0x7fefffffffffffff
GLOBL largest<>(SB), RODATA|NOPTR, $8

// 2^63, the least number that is too large for an integer; with the sign what it becomes.
DATA tooLarge<>+0(SB)/8, $0x43e0000000000000
GLOBL tooLarge<>(SB), RODATA|NOPTR, $8
DATA instead<>+0(SB)/8, $0xc3e0000000000000
GLOBL instead<>(SB), RODATA|NOPTR, $8

// func fillAVX2(f *float64, shift int, legs *float64, shorts *byte, fills int, relative, whole bool) (unfit uint64)
// fillAVX512 of four lanes: f and legs are the first of them, and shift where their bits begin. To lanes that have no more fills
// it adds zeros.
TEXT ·fillAVX2(SB), NOSPLIT, $0-56
	MOVQ f+0(FP), DI
	MOVQ shift+8(FP), R13
	MOVQ legs+16(FP), SI
	MOVQ shorts+24(FP), R9
	MOVQ fills+32(FP), CX
	MOVBLZX relative+40(FP), R10
	MOVBLZX whole+41(FP), R11
	VXORPD Y0, Y0, Y0 // held
	VXORPD Y1, Y1, Y1 // entry
	VMOVUPD 128(SI), Y2 // cash
	VMOVUPD filling_cost(DI), Y3
	VMOVUPD filling_first(DI), Y4
	VMOVUPD filling_over(DI), Y5
	VMOVUPD filling_squares(DI), Y6
	VMOVUPD filling_pct(DI), Y7
	VMOVUPD filling_profit(DI), Y8
	VMOVUPD filling_loss(DI), Y9
	VMOVDQU filling_wins(DI), Y10
	XORQ R12, R12 // unfit
	XORQ BX, BX

fill:
	VMOVQ BX, X11
	VPBROADCASTQ X11, Y11
	VMOVDQU filling_count(DI), Y12
	VPCMPGTQ Y11, Y12, Y11 // has this fill
	VMOVUPD (LEG+64)(SI), Y12 // price
	TESTQ BX, BX
	JEQ enter
	VSUBPD Y1, Y12, Y13
	VMULPD Y13, Y0, Y13 // gross
	VMULPD Y12, Y0, Y14
	VANDPD unsigned<>(SB), Y14, Y14
	VMULPD filling_rate(DI), Y14, Y14 // commission
	VSUBPD Y14, Y13, Y15
	VANDPD Y11, Y15, Y15
	VADDPD Y15, Y2, Y2
	VSUBPD Y3, Y13, Y13
	VSUBPD Y14, Y13, Y13 // pnl
	VBROADCASTSD hundred<>(SB), Y14
	VMULPD Y13, Y14, Y14
	VANDPD unsigned<>(SB), Y0, Y15
	VMULPD Y1, Y15, Y15
	VDIVPD Y15, Y14, Y14
	VANDPD Y11, Y14, Y14
	VADDPD Y14, Y7, Y7
	CMPQ BX, $1
	JNE later
	VBLENDVPD Y11, Y13, Y4, Y4

later:
	VSUBPD Y4, Y13, Y14
	VANDPD Y11, Y14, Y14
	VADDPD Y14, Y5, Y5
	VMULPD Y14, Y14, Y14
	VADDPD Y14, Y6, Y6
	VXORPD Y15, Y15, Y15
	VCMPPD $30, Y15, Y13, Y14
	VANDPD Y11, Y14, Y14 // won
	VPSUBQ Y14, Y10, Y10
	VANDPD Y13, Y14, Y15
	VADDPD Y15, Y8, Y8
	VANDNPD Y11, Y14, Y14
	VANDPD Y13, Y14, Y15
	VSUBPD Y15, Y9, Y9

enter:
	VMULPD filling_withCost(DI), Y12, Y13 // what a unit costs
	TESTL R10, R10
	JEQ units
	VMULPD filling_size(DI), Y2, Y14
	VDIVPD Y13, Y14, Y14
	TESTL R11, R11
	JEQ entered
	// As an integer, of which one that is too large becomes the least: the run is unfit.
	VROUNDPD $3, Y14, Y14
	VBROADCASTSD tooLarge<>(SB), Y13
	VCMPPD $5, Y13, Y14, Y15
	VBROADCASTSD instead<>(SB), Y13
	VBLENDVPD Y15, Y13, Y14, Y14
	JMP entered

units:
	VMOVUPD filling_size(DI), Y14
	VMULPD Y13, Y14, Y15
	VCMPPD $30, Y2, Y15, Y15 // not paid for
	VANDNPD Y14, Y15, Y14

entered:
	VMULPD Y12, Y14, Y15
	VMULPD filling_rate(DI), Y15, Y15
	VBLENDVPD Y11, Y15, Y3, Y3
	VANDPD Y11, Y15, Y15
	VSUBPD Y15, Y2, Y2
	VXORPD Y13, Y13, Y13
	VCMPPD $30, Y13, Y14, Y13
	VBROADCASTSD largest<>(SB), Y15
	VCMPPD $18, Y15, Y2, Y15
	VANDPD Y15, Y13, Y13
	VANDNPD Y11, Y13, Y13
	VMOVMSKPD Y13, AX
	ORL AX, R12
	MOVBLZX (R9)(BX*1), AX
	SHRXL R13, AX, AX
	VMOVQ AX, X13
	VPBROADCASTQ X13, Y13
	VPSLLVQ toSign<>(SB), Y13, Y13
	VANDPD sign<>(SB), Y13, Y13
	VORPD Y13, Y14, Y14
	VMOVAPD Y14, Y0
	VMOVAPD Y12, Y1
	VMOVUPD Y14, LEG(SI)
	VMOVUPD Y2, (LEG+128)(SI)
	ADDQ $LEG, SI
	INCQ BX
	CMPQ BX, CX
	JLT fill

	VMOVUPD Y3, filling_cost(DI)
	VMOVUPD Y4, filling_first(DI)
	VMOVUPD Y5, filling_over(DI)
	VMOVUPD Y6, filling_squares(DI)
	VMOVUPD Y7, filling_pct(DI)
	VMOVUPD Y8, filling_profit(DI)
	VMOVUPD Y9, filling_loss(DI)
	VMOVDQU Y10, filling_wins(DI)
	SHLXQ R13, R12, R12
	MOVQ R12, unfit+48(FP)
	VZEROUPPER
	RET
