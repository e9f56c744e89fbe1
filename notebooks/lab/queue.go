package lab

import (
	"os"
	"path/filepath"
	"time"
)

// The kernel does not drop the cells that wait when one before them fails: Run All would go on. So a failure leaves a mark,
// and a cell whose source the kernel wrote within queueWindow after it was waiting at the time: 20 ms is usual, more on a
// busy machine, and few people are that fast. With CLT_KEEP_GOING set, as for runners that stop by themselves, nothing is
// skipped.
const (
	queueWindow = time.Second
	failedMark  = "clt-failed"
	cellSource  = "main.go" // GoNB writes it when a cell's turn comes
)

func init() {
	dir := os.Getenv("GONB_TMP_DIR")
	if dir == "" || os.Getenv("CLT_KEEP_GOING") != "" || !wasWaiting(dir) {
		return
	}
	remark("not run: a cell before this one failed")
	out.sync()
	markFailure()
	os.Exit(1)
}

// wasWaiting says whether the cell that runs now was in the queue when an earlier one failed.
func wasWaiting(dir string) bool {
	failed, err := os.Stat(filepath.Join(dir, failedMark))
	if err != nil {
		return false
	}
	turn, err := os.Stat(filepath.Join(dir, cellSource))
	if err != nil {
		return false
	}
	after := turn.ModTime().Sub(failed.ModTime())
	return after >= 0 && after < queueWindow
}

// markFailure notes that this cell failed now.
func markFailure() {
	if dir := os.Getenv("GONB_TMP_DIR"); dir != "" {
		_ = os.WriteFile(filepath.Join(dir, failedMark), nil, 0o600)
	}
}
