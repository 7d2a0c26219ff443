#include "textflag.h"

// Rows of walk.
#define UNITS 0
#define ENTRY 64
#define CASH 128
#define LAST 192
#define R1 256
#define GAINS 320
#define LOSSES 384
#define R3 448
#define R4 512
#define LEAST 576
#define PEAK 640
#define FLOOR 704
#define DRAWDOWN 768
#define PEAKAT 832
#define BELOW 896
#define NEXT 960
#define LEGS 1024

// What walkAVX512 and walkDaysAVX512 both do.

// The positions of the lanes.
#define LOAD_LEGS \
	VMOVUPD UNITS(DI), Z0; \
	VMOVUPD ENTRY(DI), Z1; \
	VMOVUPD CASH(DI), Z2

// Their extremes; the floor as it was left in Z25, and 1 in Z24.
#define LOAD_EXTREMES \
	VMOVUPD LEAST(DI), Z9; \
	VMOVUPD PEAK(DI), Z10; \
	VMOVUPD FLOOR(DI), Z11; \
	VMOVAPD Z11, Z25; \
	VMOVUPD DRAWDOWN(DI), Z12; \
	VMOVDQU64 PEAKAT(DI), Z13; \
	VMOVDQU64 BELOW(DI), Z14; \
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
	VMOVUPD Z0, UNITS(DI); \
	VMOVUPD Z1, ENTRY(DI); \
	VMOVUPD Z2, CASH(DI)

#define STORE_EXTREMES \
	VCMPPD $1, Z25, Z11, K3; \
	DEEPER; \
	VMOVUPD Z9, LEAST(DI); \
	VMOVUPD Z10, PEAK(DI); \
	VMOVUPD Z11, FLOOR(DI); \
	VMOVUPD Z12, DRAWDOWN(DI); \
	VMOVDQU64 Z13, PEAKAT(DI); \
	VMOVDQU64 Z14, BELOW(DI)

// The first lane of DX whose next leg begins takes it; not equal: another one does too.
#define TAKE_LEG \
	TZCNTL DX, AX; \
	BLSIL DX, R10; \
	KMOVB R10, K5; \
	MOVQ NEXT(DI)(AX*8), R11; \
	MOVQ LEGS(DI)(AX*8), R12; \
	ADDQ R11, R12; \
	VBROADCASTSD (R12), K5, Z0; \
	VBROADCASTSD 64(R12), K5, Z1; \
	VBROADCASTSD 128(R12), K5, Z2; \
	ADDQ $192, R11; \
	MOVQ R11, NEXT(DI)(AX*8); \
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
	VMOVUPD LAST(DI), Z3
	VMOVUPD R1(DI), Z4
	VMOVUPD GAINS(DI), Z5
	VMOVUPD LOSSES(DI), Z6
	VMOVUPD R3(DI), Z7
	VMOVUPD R4(DI), Z8
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
	VMOVUPD Z3, LAST(DI)
	VMOVUPD Z4, R1(DI)
	VMOVUPD Z5, GAINS(DI)
	VMOVUPD Z6, LOSSES(DI)
	VMOVUPD Z7, R3(DI)
	VMOVUPD Z8, R4(DI)
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
