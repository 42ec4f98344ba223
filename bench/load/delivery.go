package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strconv"
	"time"
)

// Customer.io's e-mail events in the mix of a newsletter: one per line, {"weight", "body"}.
//
//go:embed bodies.ndjson
var bodiesFile []byte

// deliveries makes requests. The index determines the event: the same index gives the same event, signed again.
type deliveries struct {
	head     string
	run      string
	events   []event // as many times as they weigh
	happened string  // unix seconds
	mac      hash.Hash
	body     []byte
	hexMac   [2 * sha256.Size]byte
}

// An event's text, cut at its placeholders: %id, %n and %t.
type event struct {
	parts []string
}

func newDeliveries(path, run, secret string) *deliveries {
	d := &deliveries{
		head: "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Customer.io Webhooks\r\n" +
			"Content-Type: application/json\r\nX-CIO-Timestamp: ",
		run:      run,
		happened: strconv.FormatInt(time.Now().Unix(), 10),
		mac:      hmac.New(sha256.New, []byte(secret)),
	}
	for line := range bytes.Lines(bodiesFile) {
		var row struct {
			Weight int
			Body   string
		}
		if err := json.Unmarshal(line, &row); err != nil {
			panic(err)
		}
		for range row.Weight {
			d.events = append(d.events, cut(row.Body))
		}
	}
	spread(d.events)
	return d
}

// A stride that has no factor in common with 50, so that similar events are not consecutive.
func spread(events []event) {
	original := append([]event(nil), events...)
	for i := range events {
		events[i] = original[i*17%len(original)]
	}
}

func cut(text string) event {
	var parts []string
	start := 0
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			continue
		}
		for _, name := range []string{"%id", "%n", "%t"} {
			if len(text) >= i+len(name) && text[i:i+len(name)] == name {
				parts = append(parts, text[start:i], name)
				start = i + len(name)
				break
			}
		}
	}
	return event{append(parts, text[start:])}
}

// idOf looks like a ULID: 26 characters.
func (d *deliveries) idOf(index int) string {
	return fmt.Sprintf("01J%s%021d", d.run, index)
}

// appendRequest appends the whole HTTP request of a delivery, signed now.
func (d *deliveries) appendRequest(to []byte, index int, now time.Time) []byte {
	id, number := d.idOf(index), fmt.Sprintf("%08d", index)
	d.body = d.body[:0]
	for _, part := range d.events[index%len(d.events)].parts {
		switch part {
		case "%id":
			d.body = append(d.body, id...)
		case "%n":
			d.body = append(d.body, number...)
		case "%t":
			d.body = append(d.body, d.happened...)
		default:
			d.body = append(d.body, part...)
		}
	}

	to = append(to, d.head...)
	stampAt := len(to)
	to = strconv.AppendInt(to, now.Unix(), 10)
	d.mac.Reset()
	d.mac.Write([]byte("v0:"))
	d.mac.Write(to[stampAt:])
	d.mac.Write([]byte(":"))
	d.mac.Write(d.body)
	var sum [sha256.Size]byte
	hex.Encode(d.hexMac[:], d.mac.Sum(sum[:0]))

	to = append(to, "\r\nX-CIO-Signature: "...)
	to = append(to, d.hexMac[:]...)
	to = append(to, "\r\nContent-Length: "...)
	to = strconv.AppendInt(to, int64(len(d.body)), 10)
	to = append(to, "\r\n\r\n"...)
	return append(to, d.body...)
}
