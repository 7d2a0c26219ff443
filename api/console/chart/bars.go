package chart

import (
	"fmt"
	"html/template"
	"math"
	"time"
)

// Bar is one bar of a chart: NaN where there is no value.
type Bar struct {
	Name  string // what is read of it
	Short string // below it
	Value float64
	Class string
}

// Bars draws values side by side from zero; each is read by its name.
func Bars(id, label string, height float64, bars []Bar) template.HTML {
	const width = 520
	low, high := 0.0, 0.0
	any := false
	for _, b := range bars {
		if finite(b.Value) {
			low, high, any = math.Min(low, b.Value), math.Max(high, b.Value), true
		}
	}
	if !any {
		return empty("bars", label, "no values yet", width, height)
	}
	c := newCanvas("bars", label, width, height)
	y := scale{from: c.bottom, to: c.top}
	y.low, y.high = around(low, high)
	c.yAxis(y, max(2, int(height/50)))
	w := (c.right - c.left) / float64(len(bars))
	var spots []Spot
	for i, b := range bars {
		if !finite(b.Value) {
			continue
		}
		top, bottom := y.at(math.Max(b.Value, 0)), y.at(math.Min(b.Value, 0))
		c.rect("bar "+b.Class, c.left+float64(i)*w+w*0.15, top, w*0.7, math.Max(bottom-top, 1), "")
		spots = append(spots, Spot{c.left + (float64(i)+0.5)*w, y.at(b.Value), b.Name + ": " + Short(b.Value), -1})
	}
	for _, i := range spread(len(bars), 16) {
		c.text("tick", "middle", c.left+(float64(i)+0.5)*w, c.bottom+16, bars[i].Short)
	}
	return Spots(id, label, c.svg(), spots, "")
}

// Fold is one row of a timeline: a training window and the test window after it, Unix microseconds.
type Fold struct {
	Name                  string
	TrainFrom, TrainTo    int64
	TestFrom, TestTo      int64
	Status, TrainT, TestT string // status is a class; the others are read
}

// Folds draws the windows of a walk-forward, one row a fold; each window is read by its title. It is drawn for wide
// and for narrow screens, and the style sheet shows one.
func Folds(id, label string, folds []Fold) template.HTML {
	if len(folds) == 0 {
		return sizes(func(class string, width float64) template.HTML {
			return empty(class+" folds", label, "no fold is planned yet", width, 120)
		})
	}
	return foldRows("wide", id, label, 880, folds) + foldRows("narrow", id+"-narrow", label, 380, folds)
}

func foldRows(size, id, label string, width float64, folds []Fold) template.HTML {
	row := 18.0
	if len(folds) > 40 {
		row = math.Max(4, 720/float64(len(folds)))
	}
	height := row*float64(len(folds)) + 44
	c := newCanvas("folds", label, width, height)
	lowT, highT := folds[0].TrainFrom, folds[0].TestTo
	for _, f := range folds {
		lowT, highT = min(lowT, f.TrainFrom), max(highT, f.TestTo)
	}
	x := scale{float64(lowT), float64(highT), c.left, c.right}
	c.timeAxis(x)
	pad := math.Min(3, row*0.15)
	var spots []Spot
	window := func(class, title string, from, to int64, y float64) {
		left, right := x.at(float64(from)), x.at(float64(to))
		c.rect(class, left, y+pad, math.Max(right-left, 1), row-2*pad, "")
		spots = append(spots, Spot{(left + right) / 2, y + row/2, title, -1})
	}
	for i, f := range folds {
		y := c.top + float64(i)*row
		window("train", f.TrainT, f.TrainFrom, f.TrainTo, y)
		window("test "+f.Status, f.TestT, f.TestFrom, f.TestTo, y)
		if row >= 12 {
			c.text("tick", "end", c.left-6, y+row/2+3.5, f.Name)
		}
	}
	return spotsOf("spots "+size, id, label, c.svg(), spots, "")
}

// Day is how charts write a date.
func Day(micros int64) string { return fmt.Sprint(time.UnixMicro(micros).UTC().Format("2006-01-02")) }
