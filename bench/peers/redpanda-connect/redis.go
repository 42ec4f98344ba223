package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"
)

// Redpanda Connect's Redis components as far as the pipelines beside this file use them: under the same names,
// with the same fields (docs.redpanda.com/connect, read 2026-11-24), over the same client, go-redis, with its
// defaults. They stand here because the module connect/v4 could not be had when this was written, and do less
// than the originals, never more: no retries, no batching, no metrics of their own.

func init() {
	must(service.RegisterCache("redis", cacheSpec(), newCache))
	must(service.RegisterProcessor("redis", commandSpec(), newCommand))
	must(service.RegisterProcessor("redis_script", scriptSpec(), newScript))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func client(conf *service.ParsedConfig) (*redis.Client, error) {
	url, err := conf.FieldString("url")
	if err != nil {
		return nil, err
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(options), nil
}

// cache "redis": SET with NX and an expiry.
type cache struct {
	redis      *redis.Client
	prefix     string
	defaultTTL time.Duration
}

func cacheSpec() *service.ConfigSpec {
	return service.NewConfigSpec().Fields(
		service.NewStringField("url"),
		service.NewStringField("prefix").Default(""),
		service.NewDurationField("default_ttl"),
	)
}

func newCache(conf *service.ParsedConfig, _ *service.Resources) (service.Cache, error) {
	redis, err := client(conf)
	if err != nil {
		return nil, err
	}
	prefix, err := conf.FieldString("prefix")
	if err != nil {
		return nil, err
	}
	ttl, err := conf.FieldDuration("default_ttl")
	return &cache{redis, prefix, ttl}, err
}

func (c *cache) ttl(given *time.Duration) time.Duration {
	if given != nil {
		return *given
	}
	return c.defaultTTL
}

func (c *cache) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := c.redis.Get(ctx, c.prefix+key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, service.ErrKeyNotFound
	}
	return value, err
}

func (c *cache) Set(ctx context.Context, key string, value []byte, ttl *time.Duration) error {
	return c.redis.Set(ctx, c.prefix+key, value, c.ttl(ttl)).Err()
}

func (c *cache) Add(ctx context.Context, key string, value []byte, ttl *time.Duration) error {
	fresh, err := c.redis.SetNX(ctx, c.prefix+key, value, c.ttl(ttl)).Result()
	if err == nil && !fresh {
		return service.ErrKeyAlreadyExists
	}
	return err
}

func (c *cache) Delete(ctx context.Context, key string) error {
	return c.redis.Del(ctx, c.prefix+key).Err()
}

func (c *cache) Close(context.Context) error { return c.redis.Close() }

// processor "redis": one command, the message becomes its reply.
type command struct {
	redis *redis.Client
	name  string
	args  *bloblang.Executor
}

func commandSpec() *service.ConfigSpec {
	return service.NewConfigSpec().Fields(
		service.NewStringField("url"),
		service.NewStringField("command"),
		service.NewBloblangField("args_mapping"),
	)
}

func newCommand(conf *service.ParsedConfig, _ *service.Resources) (service.Processor, error) {
	redis, err := client(conf)
	if err != nil {
		return nil, err
	}
	name, err := conf.FieldString("command")
	if err != nil {
		return nil, err
	}
	args, err := conf.FieldBloblang("args_mapping")
	return &command{redis, name, args}, err
}

func (p *command) Process(ctx context.Context, msg *service.Message) (service.MessageBatch, error) {
	args, err := list(msg, p.args)
	if err != nil {
		return nil, err
	}
	reply, err := p.redis.Do(ctx, append([]any{p.name}, args...)...).Result()
	return replied(msg, reply, err)
}

func (p *command) Close(context.Context) error { return p.redis.Close() }

// processor "redis_script": one script by its digest, the message becomes its reply.
type script struct {
	redis      *redis.Client
	script     *redis.Script
	keys, args *bloblang.Executor
}

func scriptSpec() *service.ConfigSpec {
	return service.NewConfigSpec().Fields(
		service.NewStringField("url"),
		service.NewStringField("script"),
		service.NewBloblangField("keys_mapping"),
		service.NewBloblangField("args_mapping"),
	)
}

func newScript(conf *service.ParsedConfig, _ *service.Resources) (service.Processor, error) {
	client, err := client(conf)
	if err != nil {
		return nil, err
	}
	text, err := conf.FieldString("script")
	if err != nil {
		return nil, err
	}
	keys, err := conf.FieldBloblang("keys_mapping")
	if err != nil {
		return nil, err
	}
	args, err := conf.FieldBloblang("args_mapping")
	return &script{client, redis.NewScript(text), keys, args}, err
}

func (p *script) Process(ctx context.Context, msg *service.Message) (service.MessageBatch, error) {
	keys, err := list(msg, p.keys)
	if err != nil {
		return nil, err
	}
	args, err := list(msg, p.args)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = fmt.Sprint(key)
	}
	reply, err := p.script.Run(ctx, p.redis, names, args...).Result()
	return replied(msg, reply, err)
}

func (p *script) Close(context.Context) error { return p.redis.Close() }

func list(msg *service.Message, mapping *bloblang.Executor) ([]any, error) {
	mapped, err := msg.BloblangQuery(mapping)
	if err != nil {
		return nil, err
	}
	value, err := mapped.AsStructured()
	if err != nil {
		return nil, err
	}
	items, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("a mapping gave %T, not an array", value)
	}
	return items, nil
}

func replied(msg *service.Message, reply any, err error) (service.MessageBatch, error) {
	if err != nil {
		return nil, err
	}
	msg.SetStructuredMut(reply)
	return service.MessageBatch{msg}, nil
}
