// Reads all events of the log as the consumer group "billing".
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	prefix     = "cio:"
	group      = "billing"
	batch      = 100
	block      = 2 * time.Second
	claimAfter = time.Minute // Longer than any batch takes: then the consumer of a pending entry is dead.
	claimEvery = 30 * time.Second
)

var background = context.Background()

func createGroups(client *redis.Client) ([]string, error) {
	partitions, err := client.Get(background, prefix+"partitions").Int()
	if err == redis.Nil {
		partitions = 1
	} else if err != nil {
		return nil, err
	}
	streams := make([]string, partitions)
	for n := range streams {
		streams[n] = fmt.Sprintf("%sevents:{%d}", prefix, n)
		err := client.XGroupCreateMkStream(background, streams[n], group, "0").Err()
		if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
			return nil, err
		}
	}
	return streams, nil
}

// consume returns nil when a signal has come, otherwise the first error of Redis or of handle.
func consume(stop context.Context, client *redis.Client, consumer string) error {
	var streams []string
	var nextClaim time.Time
	positions := map[string]string{} // "0": this consumer's pending entries; ">": new ones.
	for stop.Err() == nil {
		if time.Now().After(nextClaim) {
			nextClaim = time.Now().Add(claimEvery)
			var err error
			if streams, err = createGroups(client); err != nil {
				return err
			}
			for _, stream := range streams {
				claimed, _, err := client.XAutoClaimJustID(background, &redis.XAutoClaimArgs{Stream: stream,
					Group: group, Consumer: consumer, MinIdle: claimAfter, Start: "0-0", Count: batch}).Result()
				if err != nil {
					return err
				}
				if len(claimed) > 0 || positions[stream] == "" {
					positions[stream] = "0"
				}
			}
		}
		if err := readBatch(stop, client, consumer, streams, positions); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	// The same after a restart, and different for each process of the group.
	consumer := os.Getenv("CONSUMER")
	if consumer == "" {
		consumer, _ = os.Hostname()
	}
	url := os.Getenv("REDIS_URL")
	if url == "" {
		url = "redis://127.0.0.1:6379"
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	stop, cancel := signal.NotifyContext(background, syscall.SIGTERM, os.Interrupt)
	defer cancel()
	for stop.Err() == nil {
		if err := consume(stop, client, consumer); err != nil { // Pending entries come first, so the order is kept.
			log.Printf("trying again: %v", err)
			time.Sleep(time.Second)
		}
	}
}
