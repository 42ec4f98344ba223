package main

import (
	"bytes"
	"strconv"
)

type verdict int

const (
	incomplete verdict = iota
	accepted
	duplicate
	otherSuccess
	refused
	malformed
)

var (
	headEnd       = []byte("\r\n\r\n")
	chunkedEnd    = []byte("0\r\n\r\n")
	lengthHeader  = []byte("content-length:")
	saysAccepted  = []byte(`"accepted"`)
	saysDuplicate = []byte(`"duplicate"`)
)

// readAnswer reads one HTTP response, with a content-length or chunked. Without pipelining, the bytes received so
// far are at most one response.
func readAnswer(data []byte) (verdict, int) {
	head, body, whole := bytes.Cut(data, headEnd)
	if !whole {
		return incomplete, 0
	}
	if len(head) < 12 || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) {
		return malformed, 0
	}
	status, err := strconv.Atoi(string(head[9:12]))
	if err != nil {
		return malformed, 0
	}
	if length, known := contentLength(head); known {
		if len(body) < length {
			return incomplete, 0
		}
	} else if !bytes.HasSuffix(body, chunkedEnd) {
		return incomplete, 0
	}
	switch {
	case status < 200 || status > 299:
		return refused, status
	case bytes.Contains(body, saysAccepted):
		return accepted, status
	case bytes.Contains(body, saysDuplicate):
		return duplicate, status
	default:
		return otherSuccess, status
	}
}

func contentLength(head []byte) (int, bool) {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > len(lengthHeader) && bytes.EqualFold(line[:len(lengthHeader)], lengthHeader) {
			length, err := strconv.Atoi(string(bytes.TrimSpace(line[len(lengthHeader):])))
			return length, err == nil
		}
	}
	return 0, false
}
