package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Event is a CloudEvent. Data keeps all digits of numbers, until it is parsed.
type Event struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Subject string          `json:"subject"`
	Data    json.RawMessage `json:"data"`
}

// handle must be idempotent: an event can come again, with the same ID. After an error, the event is read again.
func handle(event Event) error {
	_, err := fmt.Println(event.Subject, event.ID, event.Type)
	return err
}

func readBatch(stop context.Context, client *redis.Client, consumer string, streams []string,
	positions map[string]string) error {
	keys := append([]string{}, streams...)
	for _, stream := range streams {
		keys = append(keys, positions[stream])
	}
	// The client lets a read take longer than it blocks.
	reply, err := client.XReadGroup(background, &redis.XReadGroupArgs{
		Group: group, Consumer: consumer, Streams: keys, Count: batch, Block: block}).Result()
	if err != nil && err != redis.Nil {
		return err
	}
	for _, stream := range reply {
		if positions[stream.Stream] != ">" {
			positions[stream.Stream] = ">"
			if count := len(stream.Messages); count > 0 {
				positions[stream.Stream] = stream.Messages[count-1].ID
			}
		}
		for _, entry := range stream.Messages {
			if stop.Err() != nil {
				return nil
			}
			// An entry without fields was deleted from the stream. `cio-webhook doctor` sends test events.
			if text, ok := entry.Values["event"].(string); ok && entry.Values["type"] != "io.customer.doctor" {
				var event Event
				if err := json.Unmarshal([]byte(text), &event); err != nil {
					return err
				}
				if err := handle(event); err != nil {
					return err
				}
			}
			if err := client.XAck(background, stream.Stream, group, entry.ID).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
