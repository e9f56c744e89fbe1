package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// runBrowser runs a headless browser that keeps its files in dir.
func runBrowser(ctx context.Context, browser, dir string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	all := append([]string{"--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--no-sandbox",
		"--disable-dev-shm-usage", "--user-data-dir=" + filepath.Join(dir, "profile")}, args...)
	cmd := exec.CommandContext(ctx, browser, all...)
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s: %w: %s; try another one with CLT_CHROMIUM", filepath.Base(browser), err, strings.TrimSpace(lines[len(lines)-1]))
	}
	return nil
}

var svgHead = regexp.MustCompile(`<svg[^>]*?\swidth="([0-9.]+)"[^>]*?\sheight="([0-9.]+)"`)

// svgSize reads the size of a picture in pixels.
func svgSize(svg string, w, h *float64) error {
	m := svgHead.FindStringSubmatch(svg)
	if m == nil {
		return fmt.Errorf("the picture has no size")
	}
	*w, _ = strconv.ParseFloat(m[1], 64)
	*h, _ = strconv.ParseFloat(m[2], 64)
	return nil
}
