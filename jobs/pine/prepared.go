package pine

import "millrace/jobs/backtest/broker"

// prepared is an order call with the arguments that are constant in a trial filled in.
type prepared struct {
	entry   broker.Entry
	exit    broker.Exit
	varying []int // numbers of the other arguments
}

// prepareOrders fills in what the orders of a machine have constant. Registers hold the trial's constants.
func (m *machine) prepareOrders() {
	for k := range m.c.calls {
		c := &m.c.calls[k]
		if !c.orders {
			continue
		}
		p := &m.orders[k]
		p.varying = c.varying
		for i, a := range c.args {
			p.set(m.run, c.code, i, m.regs[a])
		}
	}
}

// give gives the order of call k to the broker.
func (m *machine) give(k int32) {
	if m.run.silent {
		return
	}
	c, p := &m.c.calls[k], &m.orders[k]
	for _, i := range p.varying {
		p.set(m.run, c.code, i, m.regs[c.args[i]])
	}
	if c.code == orderExit {
		m.run.emu.Exit(&p.exit)
		return
	}
	if q := p.entry.Qty; q == q && !(q > 0) {
		return
	}
	if c.code == orderEntry {
		m.run.emu.Entry(p.entry)
	} else {
		m.run.emu.Order(p.entry)
	}
}

// set fills in argument i of a call.
func (p *prepared) set(r *Run, code, i int, v float64) {
	if code == orderExit {
		p.setExit(r, i, v)
		return
	}
	o := &p.entry
	switch i {
	case 0:
		o.ID = r.orderID(v)
	case 1:
		o.Dir = broker.Dir(v)
	case 2:
		o.Qty = v
	case 3:
		o.Limit = v
	case 4:
		o.Stop = v
	case 5:
		o.OCA = r.id(v)
	case 6:
		o.OCAType = r.ocaType(v)
	case 7:
		o.Comment = r.id(v)
	}
}

func (p *prepared) setExit(r *Run, i int, v float64) {
	x := &p.exit
	x.OCAType = broker.OCAReduce
	switch i {
	case 0:
		x.ID = r.orderID(v)
	case 1:
		x.From = r.id(v)
	case 2:
		x.Qty = v
	case 3:
		x.QtyPercent = v
	case 4:
		x.Profit = v
	case 5:
		x.Limit = v
	case 6:
		x.Loss = v
	case 7:
		x.Stop = v
	case 8:
		x.TrailPrice = v
	case 9:
		x.TrailPoints = v
	case 10:
		x.TrailOffset = v
	case 11:
		x.OCA = r.id(v)
	case 12:
		x.Comment = r.id(v)
	case 13:
		x.CommentProfit = r.id(v)
	case 14:
		x.CommentLoss = r.id(v)
	case 15:
		x.CommentTrail = r.id(v)
	}
}
