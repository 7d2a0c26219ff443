#include "go_asm.h"
#include "textflag.h"

// DI is at the first half of the first row of walk, or at the second: all rows are that far from it.

// All bits of one lane, for each lane.
DATA oneOf<>+0(SB)/8, $-1
DATA oneOf<>+8(SB)/8, $0
DATA oneOf<>+16(SB)/8, $0
DATA oneOf<>+24(SB)/8, $0
DATA oneOf<>+32(SB)/8, $0
DATA oneOf<>+40(SB)/8, $-1
DATA oneOf<>+48(SB)/8, $0
DATA oneOf<>+56(SB)/8, $0
DATA oneOf<>+64(SB)/8, $0
DATA oneOf<>+72(SB)/8, $0
DATA oneOf<>+80(SB)/8, $-1
DATA oneOf<>+88(SB)/8, $0
DATA oneOf<>+96(SB)/8, $0
DATA oneOf<>+104(SB)/8, $0
DATA oneOf<>+112(SB)/8, $0
DATA oneOf<>+120(SB)/8, $-1
GLOBL oneOf<>(SB), RODATA|NOPTR, $128

DATA one<>+0(SB)/8, $1.0
GLOBL one<>(SB), RODATA|NOPTR, $8

// Four times more than any equity, and less.
DATA most<>+0(SB)/8, $0x7ff0000000000000
DATA most<>+8(SB)/8, $0x7ff0000000000000
DATA most<>+16(SB)/8, $0x7ff0000000000000
DATA most<>+24(SB)/8, $0x7ff0000000000000
GLOBL most<>(SB), RODATA|NOPTR, $32
DATA least<>+0(SB)/8, $0xfff0000000000000
DATA least<>+8(SB)/8, $0xfff0000000000000
DATA least<>+16(SB)/8, $0xfff0000000000000
DATA least<>+24(SB)/8, $0xfff0000000000000
GLOBL least<>(SB), RODATA|NOPTR, $32

// What walkAVX2 and walkDaysAVX2 both do: as walk_amd64.s, but four bars at a time where no leg begins with one of them, and with
// the extremes in memory. The floor as the last peak left it is at left.

#define LOAD \
	MOVQ s+0(FP), DI; \
	MOVQ shift+8(FP), R10; \
	MOVQ closes+16(FP), SI; \
	MOVQ begun+24(FP), R9; \
	MOVQ bars+32(FP), CX; \
	MOVQ bar+40(FP), R13; \
	MOVQ rows+48(FP), R8; \
	MOVL $0x0f0f0f0f, R14; \
	SHLXL R10, R14, R14; \ // the bits of these lanes in begun, of four bars
	VMOVUPD walk_units(DI), Y0; \
	VMOVUPD walk_entry(DI), Y1; \
	VMOVUPD walk_cash(DI), Y2; \
	VMOVUPD walk_floor(DI), Y10; \
	VMOVUPD Y10, left-32(SP); \
	XORQ BX, BX

// E is their equity at a close, and has its row.
#define EQUITY(CLOSE, ROW, E) \
	VBROADCASTSD CLOSE(SI)(BX*8), E; \
	VSUBPD Y1, E, E; \
	VMULPD Y0, E, E; \
	VADDPD Y2, E, E; \
	VMOVUPD E, ROW(R8)

// Y14 is the most of several bars' equity, and Y15 the least.
#define WITHIN(E) \
	VMAXPD Y14, E, Y14; \
	VMINPD Y15, E, Y15

// Not equal: one of the bars is at or above the peak. A deeper drawdown is a lower floor, until there is another peak.
#define PEAKS(E) \
	VCMPPD $13, walk_peak(DI), E, Y13; \
	VMOVMSKPD Y13, AX; \
	TESTL AX, AX

#define FLOORS(E) \
	VMINPD walk_least(DI), E, Y14; \
	VMOVUPD Y14, walk_least(DI); \
	VMINPD walk_floor(DI), E, Y14; \
	VMOVUPD Y14, walk_floor(DI)

// DX are the lanes whose next leg begins.
#define LANES_OF_BAR \
	MOVQ shift+8(FP), R11; \
	ANDL R14, DX; \
	SHRXL R11, DX, DX

// The first of them takes it; not equal: another one does too.
#define TAKE_LEG \
	TZCNTL DX, AX; \
	MOVQ walk_next(DI)(AX*8), R11; \
	MOVQ walk_legs(DI)(AX*8), R12; \
	ADDQ R11, R12; \
	ADDQ $192, R11; \
	MOVQ R11, walk_next(DI)(AX*8); \
	SHLQ $5, AX; \
	LEAQ oneOf<>(SB), R11; \
	VMOVUPD (R11)(AX*1), Y15; \
	VBROADCASTSD (R12), Y14; \
	VBLENDVPD Y15, Y14, Y0, Y0; \
	VBROADCASTSD 64(R12), Y14; \
	VBLENDVPD Y15, Y14, Y1, Y1; \
	VBROADCASTSD 128(R12), Y14; \
	VBLENDVPD Y15, Y14, Y2, Y2; \
	BLSRL DX, DX

// The drawdown of lanes of Y14 whose floor Y10 is below where the last peak left it: Y11; Y9 are ones.
#define DEEPER \
	VBROADCASTSD one<>(SB), Y9; \
	VDIVPD walk_peak(DI), Y10, Y15; \
	VSUBPD Y15, Y9, Y15; \
	VMOVUPD walk_drawdown(DI), Y11; \
	VBLENDVPD Y14, Y15, Y11, Y11; \
	VMOVUPD Y11, walk_drawdown(DI)

// As newExtreme of a peak, of the lanes of Y13, which are at Y12 at bar R11. It takes Y9 to Y11, Y14 and Y15.
#define NEW_PEAKS \
	VMOVUPD walk_floor(DI), Y10; \
	VCMPPD $1, left-32(SP), Y10, Y14; \
	VANDPD Y13, Y14, Y14; \
	DEEPER; \
	VSUBPD Y11, Y9, Y11; \
	VMULPD Y12, Y11, Y11; \
	VBLENDVPD Y13, Y11, Y10, Y10; \
	VMOVUPD Y10, walk_floor(DI); \
	VMOVUPD left-32(SP), Y14; \
	VBLENDVPD Y13, Y10, Y14, Y14; \
	VMOVUPD Y14, left-32(SP); \
	VMOVUPD walk_peak(DI), Y14; \
	VBLENDVPD Y13, Y12, Y14, Y14; \
	VMOVUPD Y14, walk_peak(DI); \
	VMOVQ R11, X9; \
	VPBROADCASTQ X9, Y9; \
	LEAQ -1(R11), AX; \
	VMOVQ AX, X14; \
	VPBROADCASTQ X14, Y14; \
	VMOVDQU walk_peakAt(DI), Y11; \
	VPSUBQ Y11, Y14, Y14; \
	VBLENDVPD Y13, Y9, Y11, Y11; \
	VMOVDQU Y11, walk_peakAt(DI); \
	VMOVDQU walk_below(DI), Y11; \
	VPCMPGTQ Y11, Y14, Y9; \
	VPAND Y13, Y9, Y9; \
	VBLENDVPD Y9, Y14, Y11, Y11; \
	VMOVDQU Y11, walk_below(DI)

#define STORE \
	VMOVUPD Y0, walk_units(DI); \
	VMOVUPD Y1, walk_entry(DI); \
	VMOVUPD Y2, walk_cash(DI); \
	VMOVUPD walk_floor(DI), Y10; \
	VCMPPD $1, left-32(SP), Y10, Y14; \
	DEEPER

// The return from equity LAST to E. A return that was only just divided would have what sums it fill the processor's queues: it waits
// for four bars in one of eight places, of which R10 is this bar's.
#define RETURN(LAST, E, WHERE) \
	VSUBPD LAST, E, Y13; \
	VDIVPD LAST, Y13, Y13; \
	VMOVUPD Y13, returns-288+WHERE(SP)(R10*1)

// The return at Y10 is summed. Y9 are zeros; it takes Y11 to Y13.
#define SUM \
	VMULPD Y10, Y10, Y11; \
	VADDPD Y10, Y4, Y4; \
	VPCMPGTQ Y10, Y9, Y12; \ // the sign
	VANDNPD Y11, Y12, Y13; \
	VADDPD Y13, Y5, Y5; \
	VANDPD Y11, Y12, Y13; \
	VADDPD Y13, Y6, Y6; \
	VMULPD Y11, Y10, Y13; \
	VADDPD Y13, Y7, Y7; \
	VMULPD Y11, Y11, Y13; \
	VADDPD Y13, Y8, Y8

#define WAITED(WHERE) \
	VMOVUPD returns-288+WHERE(SP)(R12*1), Y10; \
	SUM

// func walkAVX2(s *float64, shift int, closes *float64, begun *byte, bars, bar int, rows *float64, step int)
// walkAVX512 of four lanes: s is the first of them, and shift where their bits begin.
TEXT ·walkAVX2(SB), NOSPLIT, $552-64
	LOAD
	MOVQ step+56(FP), R15
	TESTQ R8, R8
	JNE rows
	LEAQ spare-544(SP), R8

rows:
	VMOVUPD walk_last(DI), Y3
	VMOVUPD walk_r1(DI), Y4
	VMOVUPD walk_gains(DI), Y5
	VMOVUPD walk_losses(DI), Y6
	VMOVUPD walk_r3(DI), Y7
	VMOVUPD walk_r4(DI), Y8
	// Those that wait are zeros.
	VXORPD Y9, Y9, Y9
	VMOVUPD Y9, returns-160(SP)
	VMOVUPD Y9, returns-128(SP)
	VMOVUPD Y9, returns-96(SP)
	VMOVUPD Y9, returns-64(SP)
	XORQ R10, R10

four:
	LEAQ 4(BX), DX
	CMPQ DX, CX
	JGT rest
	TESTL R14, (R9)(BX*1)
	JNE apart
	VMOVUPD least<>(SB), Y14
	VMOVUPD most<>(SB), Y15
	EQUITY(0, 0, Y10)
	WITHIN(Y10)
	RETURN(Y3, Y10, 0)
	EQUITY(8, 64, Y11)
	WITHIN(Y11)
	RETURN(Y10, Y11, 32)
	EQUITY(16, 128, Y12)
	WITHIN(Y12)
	RETURN(Y11, Y12, 64)
	EQUITY(24, 192, Y3)
	WITHIN(Y3)
	RETURN(Y12, Y3, 96)
	PEAKS(Y14)
	JNE extremes
	FLOORS(Y15)

quiet:
	MOVQ R10, R12
	XORQ $128, R12
	WAITED(0)
	WAITED(32)
	WAITED(64)
	WAITED(96)
	MOVQ R12, R10
	LEAQ (R8)(R15*4), R8
	ADDQ $4, BX
	JMP four

// One of four bars is a peak: bar by bar.
extremes:
	LEAQ (R13)(BX*1), R11
	XORQ DX, DX

extreme:
	VMOVUPD (R8)(DX*1), Y12
	FLOORS(Y12)
	PEAKS(Y12)
	JEQ lower
	NEW_PEAKS

lower:
	INCQ R11
	ADDQ $64, DX
	CMPQ DX, $256
	JLT extreme
	VXORPD Y9, Y9, Y9
	JMP quiet

rest:
	MOVQ CX, DX
	CMPQ BX, CX
	JGE done

// The bars before DX one after the other.
apart:
	MOVQ DX, until-552(SP)

bar:
	MOVBLZX (R9)(BX*1), DX
	TESTL R14, DX
	JNE begin

held:
	EQUITY(0, 0, Y12)
	RETURN(Y3, Y12, 0)
	VMOVAPD Y12, Y3
	FLOORS(Y12)
	PEAKS(Y12)
	JNE peak

sum:
	MOVQ R10, R12
	XORQ $128, R12
	WAITED(0)
	ADDQ $32, R10
	ANDQ $255, R10
	ADDQ R15, R8
	INCQ BX
	CMPQ BX, until-552(SP)
	JLT bar
	JMP four

begin:
	LANES_OF_BAR

take:
	TAKE_LEG
	JNE take
	JMP held

peak:
	LEAQ (R13)(BX*1), R11
	NEW_PEAKS
	VXORPD Y9, Y9, Y9
	JMP sum

done:
	MOVQ $4, CX

last:
	MOVQ R10, R12
	XORQ $128, R12
	WAITED(0)
	ADDQ $32, R10
	ANDQ $255, R10
	DECQ CX
	JNE last

	STORE
	VMOVUPD Y3, walk_last(DI)
	VMOVUPD Y4, walk_r1(DI)
	VMOVUPD Y5, walk_gains(DI)
	VMOVUPD Y6, walk_losses(DI)
	VMOVUPD Y7, walk_r3(DI)
	VMOVUPD Y8, walk_r4(DI)
	VZEROUPPER
	RET

// func walkDaysAVX2(s *float64, shift int, closes *float64, begun *byte, bars, bar int, rows *float64)
// walkAVX2 without returns: those of days are taken from the rows.
TEXT ·walkDaysAVX2(SB), NOSPLIT, $40-56
	LOAD

four:
	LEAQ 4(BX), DX
	CMPQ DX, CX
	JGT rest
	TESTL R14, (R9)(BX*1)
	JNE apart
	VMOVUPD least<>(SB), Y14
	VMOVUPD most<>(SB), Y15
	EQUITY(0, 0, Y10)
	WITHIN(Y10)
	EQUITY(8, 64, Y11)
	WITHIN(Y11)
	EQUITY(16, 128, Y12)
	WITHIN(Y12)
	EQUITY(24, 192, Y3)
	WITHIN(Y3)
	PEAKS(Y14)
	JNE extremes
	FLOORS(Y15)

quiet:
	ADDQ $256, R8
	ADDQ $4, BX
	JMP four

extremes:
	LEAQ (R13)(BX*1), R11
	XORQ DX, DX

extreme:
	VMOVUPD (R8)(DX*1), Y12
	FLOORS(Y12)
	PEAKS(Y12)
	JEQ lower
	NEW_PEAKS

lower:
	INCQ R11
	ADDQ $64, DX
	CMPQ DX, $256
	JLT extreme
	JMP quiet

rest:
	MOVQ CX, DX
	CMPQ BX, CX
	JGE done

apart:
	MOVQ DX, until-40(SP)

bar:
	MOVBLZX (R9)(BX*1), DX
	TESTL R14, DX
	JNE begin

held:
	EQUITY(0, 0, Y12)
	FLOORS(Y12)
	PEAKS(Y12)
	JNE peak

next:
	ADDQ $64, R8
	INCQ BX
	CMPQ BX, until-40(SP)
	JLT bar
	JMP four

begin:
	LANES_OF_BAR

take:
	TAKE_LEG
	JNE take
	JMP held

peak:
	LEAQ (R13)(BX*1), R11
	NEW_PEAKS
	JMP next

done:
	STORE
	VZEROUPPER
	RET
