package viz

import (
	"fmt"
	"math"
	"time"
)

// Meter follows a long task and decides when to draw. It reads no clock: every
// call is given the time, so it can be tested and replayed.
type Meter struct {
	What  string // "attributing"
	Unit  string // "targets"
	Total int    // 0 if unknown

	begun, drawn time.Time
	last         time.Time
	lastDone     int
	rate         float64 // units a second, exponential mean
	started      bool
}

const (
	firstDraw  = 200 * time.Millisecond
	drawEvery  = 250 * time.Millisecond
	rateWeight = 0.1
)

// Start sets the beginning.
func (m *Meter) Start(now time.Time) {
	m.begun, m.last, m.started = now, now, true
}

// Update takes in the number of units done. It reports whether it is time to
// draw: not within the first 0.2 s, and at most four times a second.
func (m *Meter) Update(now time.Time, done int) bool {
	if !m.started {
		m.Start(now)
	}
	if dt := now.Sub(m.last).Seconds(); dt >= 0.05 {
		r := float64(done-m.lastDone) / dt
		if m.rate == 0 {
			m.rate = r
		} else {
			m.rate += rateWeight * (r - m.rate)
		}
		m.last, m.lastDone = now, done
	}
	if now.Sub(m.begun) < firstDraw || !m.drawn.IsZero() && now.Sub(m.drawn) < drawEvery {
		return false
	}
	m.drawn = now
	return true
}

// Output is the running state: a bar, and "attributing 1 240 / 5 000 targets ·
// 83/s · 0:15 elapsed · about 0:45 left". What is left is told only after 3 %
// or ten seconds. note may add a word, such as the loss.
func (m *Meter) Output(now time.Time, done int, note string) Output {
	text := m.text(now, done)
	if note != "" {
		text += " · " + note
	}
	fraction := 0.0
	if m.Total > 0 {
		fraction = float64(done) / float64(m.Total)
	}
	return Progress(text, fraction)
}

// Finish is the last line, which replaces the bar: "5 000 targets in 61 s
// (82/s)".
func (m *Meter) Finish(now time.Time, done int, note string) Output {
	d := now.Sub(m.begun).Seconds()
	text := fmt.Sprintf("%s %s in %s s", count(done), m.Unit, num(d))
	if d > 0 {
		text += " (" + num(float64(done)/d) + "/s)"
	}
	if m.Total > 0 && done < m.Total {
		text = fmt.Sprintf("stopped after %s of %s", text, count(m.Total))
	}
	if note != "" {
		text += " · " + note
	}
	return Progress(text, -1)
}

// Progress is a bar with a text beside it: fraction is 0 to 1, 0 for a task of
// unknown length, negative for no bar, when the task has ended.
func Progress(text string, fraction float64) Output {
	text = visible(text)
	bar := ""
	switch {
	case fraction == 0 || math.IsNaN(fraction):
		bar = `<progress style="width:240px"></progress> `
	case fraction > 0:
		bar = `<progress value="` + css(math.Min(100, 100*fraction)) + `" max="100" style="width:240px"></progress> `
	}
	return Output{
		HTML: `<div class="clt-out clt-progress" lang="en" style="background:#FFFFFF;color:#1A1A1A;padding:3px 10px;max-width:1080px;box-sizing:border-box;font-family:` +
			sans + `;font-size:13px">` + bar + esc(text) + "</div>\n",
		Markdown: mdText(text), Plain: text, Kind: "progress",
	}
}

func (m *Meter) text(now time.Time, done int) string {
	s := m.What + " " + count(done)
	if m.Total > 0 {
		s += " / " + count(m.Total)
	}
	s += " " + m.Unit
	elapsed := now.Sub(m.begun)
	if m.rate > 0 {
		s += " · " + num(m.rate) + "/s"
	}
	s += " · " + clock(elapsed) + " elapsed"
	if left, ok := m.left(elapsed, done); ok {
		s += " · about " + clock(left) + " left"
	}
	return s
}

// left estimates the remaining time, once there is something to go by.
func (m *Meter) left(elapsed time.Duration, done int) (time.Duration, bool) {
	if m.Total <= 0 || m.rate <= 0 || done >= m.Total {
		return 0, false
	}
	if float64(done) < 0.03*float64(m.Total) && elapsed < 10*time.Second {
		return 0, false
	}
	return time.Duration(float64(m.Total-done) / m.rate * float64(time.Second)), true
}

// clock writes a duration as m:ss or h:mm:ss.
func clock(d time.Duration) string {
	s := int(math.Round(d.Seconds()))
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
