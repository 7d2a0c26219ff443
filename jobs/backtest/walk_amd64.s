#include "go_asm.h"
#include "textflag.h"

// What walkAVX512 and walkDaysAVX512 both do.

// The positions of the lanes.
#define LOAD_LEGS \
	VMOVUPD walk_units(DI), Z0; \
	VMOVUPD walk_entry(DI), Z1; \
	VMOVUPD walk_cash(DI), Z2

// Their extremes; the floor as it was left in Z25, and 1 in Z24.
#define LOAD_EXTREMES \
	VMOVUPD walk_least(DI), Z9; \
	VMOVUPD walk_peak(DI), Z10; \
	VMOVUPD walk_floor(DI), Z11; \
	VMOVAPD Z11, Z25; \
	VMOVUPD walk_drawdown(DI), Z12; \
	VMOVDQU64 walk_peakAt(DI), Z13; \
	VMOVDQU64 walk_below(DI), Z14; \
	MOVQ $0x3ff0000000000000, AX; \
	VPBROADCASTQ AX, Z24

// Z16 is their equity at a close.
#define EQUITY \
	VBROADCASTSD (SI)(BX*8), Z16; \
	VSUBPD Z1, Z16, Z16; \
	VMULPD Z0, Z16, Z16; \
	VADDPD Z2, Z16, Z16

// K1: at or above the peak; equal: none is. A deeper drawdown is a lower floor, until there is another peak.
#define EXTREMES \
	VMINPD Z9, Z16, Z9; \
	VMINPD Z11, Z16, Z11; \
	VCMPPD $13, Z10, Z16, K1; \
	KORTESTB K1, K1

// The drawdown of lanes of K3 whose floor is below where the last peak left it.
#define DEEPER \
	VDIVPD Z10, Z11, Z23; \
	VSUBPD Z23, Z24, K3, Z12

#define STORE_LEGS \
	VMOVUPD Z0, walk_units(DI); \
	VMOVUPD Z1, walk_entry(DI); \
	VMOVUPD Z2, walk_cash(DI)

#define STORE_EXTREMES \
	VCMPPD $1, Z25, Z11, K3; \
	DEEPER; \
	VMOVUPD Z9, walk_least(DI); \
	VMOVUPD Z10, walk_peak(DI); \
	VMOVUPD Z11, walk_floor(DI); \
	VMOVUPD Z12, walk_drawdown(DI); \
	VMOVDQU64 Z13, walk_peakAt(DI); \
	VMOVDQU64 Z14, walk_below(DI)

// The first lane of DX whose next leg begins takes it; not equal: another one does too.
#define TAKE_LEG \
	TZCNTL DX, AX; \
	BLSIL DX, R10; \
	KMOVB R10, K5; \
	MOVQ walk_next(DI)(AX*8), R11; \
	MOVQ walk_legs(DI)(AX*8), R12; \
	ADDQ R11, R12; \
	VBROADCASTSD (R12), K5, Z0; \
	VBROADCASTSD 64(R12), K5, Z1; \
	VBROADCASTSD 128(R12), K5, Z2; \
	ADDQ $192, R11; \
	MOVQ R11, walk_next(DI)(AX*8); \
	BLSRL DX, DX

// As newExtreme of a peak, of the lanes of K1.
#define NEW_PEAKS \
	VCMPPD $1, Z25, Z11, K1, K3; \
	DEEPER; \
	LEAQ (R13)(BX*1), AX; \
	VPBROADCASTQ AX, Z21; \
	DECQ AX; \
	VPBROADCASTQ AX, Z22; \
	VPSUBQ Z13, Z22, Z22; \
	VPMAXSQ Z22, Z14, K1, Z14; \
	VMOVDQA64 Z21, K1, Z13; \
	VSUBPD Z12, Z24, Z23; \
	VMULPD Z16, Z23, K1, Z11; \
	VMOVAPD Z11, K1, Z25; \
	VMOVAPD Z16, K1, Z10

// func walkAVX512(s *walk, closes *float64, begun *byte, bars, bar int, rows *float64, step int)
// Each bar of all lanes: their equity, whether it is an extreme, and the return. Products are rounded before they are added.
// What has no row to go to is written to the same place again and again: step is 0.
TEXT ·walkAVX512(SB), NOSPLIT, $64-56
	MOVQ s+0(FP), DI
	MOVQ closes+8(FP), SI
	MOVQ begun+16(FP), R9
	MOVQ bars+24(FP), CX
	MOVQ bar+32(FP), R13
	MOVQ rows+40(FP), R8
	MOVQ step+48(FP), R15
	TESTQ R8, R8
	JNE rows
	LEAQ spare-64(SP), R8

rows:
	LOAD_LEGS
	VMOVUPD walk_last(DI), Z3
	VMOVUPD walk_r1(DI), Z4
	VMOVUPD walk_gains(DI), Z5
	VMOVUPD walk_losses(DI), Z6
	VMOVUPD walk_r3(DI), Z7
	VMOVUPD walk_r4(DI), Z8
	LOAD_EXTREMES
	XORQ BX, BX

bar:
	MOVBLZX (R9)(BX*1), DX
	TESTL DX, DX
	JNE begin

held:
	EQUITY
	VSUBPD Z3, Z16, Z17
	VDIVPD Z3, Z17, Z17 // return
	VMOVUPD Z16, (R8)
	EXTREMES
	JNE extreme

quiet:
	VMOVAPD Z16, Z3
	VPMOVQ2M Z17, K3
	KNOTB K3, K4
	VMULPD Z17, Z17, Z18
	VADDPD Z17, Z4, Z4
	VADDPD Z18, Z5, K4, Z5
	VADDPD Z18, Z6, K3, Z6
	VMULPD Z18, Z17, Z19
	VADDPD Z19, Z7, Z7
	VMULPD Z18, Z18, Z20
	VADDPD Z20, Z8, Z8
	ADDQ R15, R8
	INCQ BX
	CMPQ BX, CX
	JLT bar

	STORE_LEGS
	VMOVUPD Z3, walk_last(DI)
	VMOVUPD Z4, walk_r1(DI)
	VMOVUPD Z5, walk_gains(DI)
	VMOVUPD Z6, walk_losses(DI)
	VMOVUPD Z7, walk_r3(DI)
	VMOVUPD Z8, walk_r4(DI)
	STORE_EXTREMES
	VZEROUPPER
	RET

// The lanes whose next leg begins take it, one after the other: there is seldom more than one.
begin:
	TAKE_LEG
	JNE begin
	JMP held

extreme:
	NEW_PEAKS
	JMP quiet

// func walkDaysAVX512(s *walk, closes *float64, begun *byte, bars, bar int, rows *float64)
// walkAVX512 without returns: those of days are taken from the rows.
TEXT ·walkDaysAVX512(SB), NOSPLIT, $0-48
	MOVQ s+0(FP), DI
	MOVQ closes+8(FP), SI
	MOVQ begun+16(FP), R9
	MOVQ bars+24(FP), CX
	MOVQ bar+32(FP), R13
	MOVQ rows+40(FP), R8
	LOAD_LEGS
	LOAD_EXTREMES
	XORQ BX, BX

bar:
	MOVBLZX (R9)(BX*1), DX
	TESTL DX, DX
	JNE begin

held:
	EQUITY
	VMOVUPD Z16, (R8)
	EXTREMES
	JNE extreme

quiet:
	ADDQ $64, R8
	INCQ BX
	CMPQ BX, CX
	JLT bar

	STORE_LEGS
	STORE_EXTREMES
	VZEROUPPER
	RET

begin:
	TAKE_LEG
	JNE begin
	JMP held

extreme:
	NEW_PEAKS
	JMP quiet
