package vector

// scan compares a question with the rows of blocks, on one core.
type scan struct {
	set      *set
	question *question
	keep     func(row) bool // nil: all
	best     *leaders
	sums     [tileRows]int32
	open     [together + tileRows]int32 // rows that are yet to be compared exactly
	waiting  int                        // how many of them there are
	compared int                        // how many were
}

// block offers the rows of one block to the leaders.
func (s *scan) block(b int) {
	rows := min(blockRows, len(s.set.rows)-b*blockRows)
	for first := 0; first < rows; first += tileRows {
		s.tile(b, first, min(tileRows, rows-first))
		s.compare(b, together)
	}
	s.compare(b, 1)
}

// tile picks the rows of a tile whose bound is not below all leaders: comparing the others exactly would not change
// these. A bound that is not a number is not below.
func (s *scan) tile(b, first, rows int) {
	tile := &s.set.blocks[b].tiles[first/tileRows]
	if !s.question.incomparable {
		coarse(&s.sums, tile.codes, s.question.pairs)
	}
	worst := s.best.worst()
	for r := range rows {
		if !s.question.incomparable && s.question.bound(s.sums[r], &tile.fits[r]) < worst {
			continue
		}
		if s.keep == nil || s.keep(s.set.rows[b*blockRows+first+r]) {
			s.open[s.waiting] = int32(first + r)
			s.waiting++
		}
	}
}

// compare offers the waiting rows of a block with their scores, until fewer than so many wait.
func (s *scan) compare(b, most int) {
	block, at := &s.set.blocks[b], 0
	for ; s.waiting-at >= max(most, together); at += together {
		var rows [together][]float32
		for i := range rows {
			rows[i] = block.row(int(s.open[at+i]), s.set.dimensions)
		}
		for i, score := range s.question.scores(&rows) {
			s.offer(score, b*blockRows+int(s.open[at+i]))
		}
	}
	for ; s.waiting-at >= most; at++ {
		place := s.open[at]
		s.offer(s.question.score(block.row(int(place), s.set.dimensions)), b*blockRows+int(place))
	}
	s.compared += at
	s.waiting = copy(s.open[:], s.open[at:s.waiting])
}

func (s *scan) offer(score float32, place int) {
	if s.best.wants(score) {
		s.best.offer(score, int32(place))
	}
}

// coarsePlain is the sum, for each row of a tile, of its codes times the steps of the query.
func coarsePlain(sums *[tileRows]int32, codes []int8, pairs []pair) {
	clear(sums[:])
	for _, p := range pairs {
		first, second := int32(p.steps[0]), int32(p.steps[1])
		of := codes[p.at:][:2*tileRows]
		for r := range sums {
			sums[r] += first*int32(of[2*r]) + second*int32(of[2*r+1])
		}
	}
}
