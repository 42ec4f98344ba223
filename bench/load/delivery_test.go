package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"
)

func TestEveryDeliveryIsSignedJSONWithItsOwnID(t *testing.T) {
	d := newDeliveries("/hook", "a1", "topsecret")
	for index := range 200 {
		request := d.appendRequest(nil, index, time.Unix(1795510800, 0))
		_, body, _ := bytes.Cut(request, []byte("\r\n\r\n"))
		var event struct {
			EventID string `json:"event_id"`
		}
		if err := json.Unmarshal(body, &event); err != nil || event.EventID != d.idOf(index) {
			t.Fatalf("delivery %d: %v, id %q, want %q", index, err, event.EventID, d.idOf(index))
		}
		mac := hmac.New(sha256.New, []byte("topsecret"))
		mac.Write([]byte("v0:1795510800:"))
		mac.Write(body)
		signature := "X-CIO-Signature: " + hex.EncodeToString(mac.Sum(nil)) + "\r\n"
		if !bytes.Contains(request, []byte(signature)) {
			t.Fatalf("delivery %d is not signed right: %s", index, request)
		}
	}
}

func TestTheSameIndexIsTheSameEvent(t *testing.T) {
	d := newDeliveries("/hook", "a1", "topsecret")
	now := time.Now()
	if !bytes.Equal(d.appendRequest(nil, 7, now), d.appendRequest(nil, 7, now)) {
		t.Fatal("two events from one index")
	}
}

func TestAnAnswerIsReadWhenItIsWhole(t *testing.T) {
	for _, c := range []struct {
		data   string
		result verdict
		status int
	}{
		{"HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{\"status\":\"accepted\"}", accepted, 200},
		{"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"status\":\"duplicate\"}", duplicate, 200},
		{"HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{\"status\":\"accep", incomplete, 0},
		{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", otherSuccess, 200},
		{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", incomplete, 0},
		{"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", refused, 503},
		{"HTTP/1.1 200 OK\r\nconte", incomplete, 0},
		{"SSH-2.0\r\n\r\n", malformed, 0},
	} {
		if result, status := readAnswer([]byte(c.data)); result != c.result || status != c.status {
			t.Errorf("%q: %v %d, want %v %d", c.data, result, status, c.result, c.status)
		}
	}
}
