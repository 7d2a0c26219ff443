#include "go_asm.h"
#include "textflag.h"

// DI is at the first half of the first row of meanLanes, or at the second: all rows are that far from it.

// Y0 to Y3 are rows of four numbers, and become its columns.
#define TRANSPOSE \
	VUNPCKLPD Y1, Y0, Y4; \
	VUNPCKHPD Y1, Y0, Y5; \
	VUNPCKLPD Y3, Y2, Y6; \
	VUNPCKHPD Y3, Y2, Y7; \
	VPERM2F128 $0x20, Y6, Y4, Y0; \
	VPERM2F128 $0x20, Y7, Y5, Y1; \
	VPERM2F128 $0x31, Y6, Y4, Y2; \
	VPERM2F128 $0x31, Y7, Y5, Y3

// One value of these lanes, as compensated.replace takes it: AT are the bytes to it, V are those that leave the windows, and
// becomes the means.
#define MEAN(AT, V) \
	VBROADCASTSD AT(SI)(CX*8), Y4; \
	VSUBPD V, Y4, Y5; \
	VSUBPD Y5, Y4, Y6; \
	VADDPD Y6, Y5, Y7; \
	VSUBPD Y7, Y4, Y7; \
	VSUBPD V, Y6, Y6; \
	VADDPD Y6, Y7, Y7; \
	VADDPD Y7, Y14, Y14; \
	VADDPD Y5, Y13, Y8; \
	VSUBPD Y13, Y8, Y9; \
	VSUBPD Y9, Y8, Y10; \
	VSUBPD Y10, Y13, Y10; \
	VSUBPD Y9, Y5, Y9; \
	VADDPD Y9, Y10, Y10; \
	VADDPD Y10, Y14, Y14; \
	VMOVAPD Y8, Y13; \
	VADDPD Y14, Y13, Y11; \
	VDIVPD Y15, Y11, V

#define LOAD(LANE, V) \
	MOVQ (meanLanes_outgoing+8*LANE)(DI), AX; \
	VMOVUPD (AX)(CX*8), V

#define STORE(LANE, V) \
	MOVQ (meanLanes_out+8*LANE)(DI), AX; \
	VMOVUPD V, (AX)(CX*8)

// func meansAVX2(s, in *float64, bars int)
// meansAVX512 of four lanes, four values at a time: s is the first of them. Sums and periods have a row of Lanes numbers each, and so
// do the pointers.
TEXT ·meansAVX2(SB), NOSPLIT, $0-24
	MOVQ s+0(FP), DI
	MOVQ in+8(FP), SI
	MOVQ bars+16(FP), DX
	VMOVUPD meanLanes_sum(DI), Y13
	VMOVUPD meanLanes_lost(DI), Y14
	VMOVUPD meanLanes_n(DI), Y15
	XORQ CX, CX

group:
	LOAD(0, Y0)
	LOAD(1, Y1)
	LOAD(2, Y2)
	LOAD(3, Y3)
	TRANSPOSE
	MEAN(0, Y0)
	MEAN(8, Y1)
	MEAN(16, Y2)
	MEAN(24, Y3)
	TRANSPOSE
	STORE(0, Y0)
	STORE(1, Y1)
	STORE(2, Y2)
	STORE(3, Y3)
	ADDQ $4, CX
	CMPQ CX, DX
	JLT group
	VMOVUPD Y13, meanLanes_sum(DI)
	VMOVUPD Y14, meanLanes_lost(DI)
	VZEROUPPER
	RET
