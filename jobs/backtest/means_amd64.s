#include "go_asm.h"
#include "textflag.h"

// Z0 to Z7 are rows of eight numbers, and become its columns.
#define TRANSPOSE \
	VUNPCKLPD Z1, Z0, Z8; \
	VUNPCKHPD Z1, Z0, Z9; \
	VUNPCKLPD Z3, Z2, Z10; \
	VUNPCKHPD Z3, Z2, Z11; \
	VUNPCKLPD Z5, Z4, Z12; \
	VUNPCKHPD Z5, Z4, Z13; \
	VUNPCKLPD Z7, Z6, Z14; \
	VUNPCKHPD Z7, Z6, Z15; \
	COLUMNS(Z8, Z10, Z12, Z14, Z0, Z2, Z4, Z6); \
	COLUMNS(Z9, Z11, Z13, Z15, Z1, Z3, Z5, Z7)

// Pairs of rows, of which each has every other column, become four columns.
#define COLUMNS(A, B, C, D, O0, O1, O2, O3) \
	VSHUFF64X2 $0x44, B, A, Z27; \
	VSHUFF64X2 $0xee, B, A, Z28; \
	VSHUFF64X2 $0x44, D, C, Z29; \
	VSHUFF64X2 $0xee, D, C, Z30; \
	VSHUFF64X2 $0x88, Z29, Z27, O0; \
	VSHUFF64X2 $0xdd, Z29, Z27, O1; \
	VSHUFF64X2 $0x88, Z30, Z28, O2; \
	VSHUFF64X2 $0xdd, Z30, Z28, O3

// One value of all lanes, as compensated.replace takes it: AT are the bytes to it, V are those that leave the windows, and
// becomes the means.
#define MEAN(AT, V) \
	VBROADCASTSD AT(SI)(CX*8), Z19; \
	VSUBPD V, Z19, Z20; \
	VSUBPD Z20, Z19, Z21; \
	VADDPD Z21, Z20, Z22; \
	VSUBPD Z22, Z19, Z22; \
	VSUBPD V, Z21, Z21; \
	VADDPD Z21, Z22, Z22; \
	VADDPD Z22, Z17, Z17; \
	VADDPD Z20, Z16, Z23; \
	VSUBPD Z16, Z23, Z24; \
	VSUBPD Z24, Z23, Z25; \
	VSUBPD Z25, Z16, Z25; \
	VSUBPD Z24, Z20, Z24; \
	VADDPD Z24, Z25, Z25; \
	VADDPD Z25, Z17, Z17; \
	VMOVAPD Z23, Z16; \
	VADDPD Z17, Z16, Z26; \
	VDIVPD Z18, Z26, V

#define LOAD(LANE, V) \
	MOVQ (meanLanes_outgoing+8*LANE)(DI), AX; \
	VMOVUPD (AX)(CX*8), V

#define STORE(LANE, V) \
	MOVQ (meanLanes_out+8*LANE)(DI), AX; \
	VMOVUPD V, (AX)(CX*8)

// func meansAVX512(s *meanLanes, in *float64, bars int)
// Eight values of each lane are eight lanes of each value, and their means the other way around.
TEXT ·meansAVX512(SB), NOSPLIT, $0-24
	MOVQ s+0(FP), DI
	MOVQ in+8(FP), SI
	MOVQ bars+16(FP), DX
	VMOVUPD meanLanes_sum(DI), Z16
	VMOVUPD meanLanes_lost(DI), Z17
	VMOVUPD meanLanes_n(DI), Z18
	XORQ CX, CX

group:
	LOAD(0, Z0)
	LOAD(1, Z1)
	LOAD(2, Z2)
	LOAD(3, Z3)
	LOAD(4, Z4)
	LOAD(5, Z5)
	LOAD(6, Z6)
	LOAD(7, Z7)
	TRANSPOSE
	MEAN(0, Z0)
	MEAN(8, Z1)
	MEAN(16, Z2)
	MEAN(24, Z3)
	MEAN(32, Z4)
	MEAN(40, Z5)
	MEAN(48, Z6)
	MEAN(56, Z7)
	TRANSPOSE
	STORE(0, Z0)
	STORE(1, Z1)
	STORE(2, Z2)
	STORE(3, Z3)
	STORE(4, Z4)
	STORE(5, Z5)
	STORE(6, Z6)
	STORE(7, Z7)
	ADDQ $8, CX
	CMPQ CX, DX
	JLT group
	VMOVUPD Z16, meanLanes_sum(DI)
	VMOVUPD Z17, meanLanes_lost(DI)
	VZEROUPPER
	RET
