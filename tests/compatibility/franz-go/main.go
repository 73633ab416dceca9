// franz-go.
package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var background = context.Background()

func main() {
	o := parseOptions()
	map[string]func(options){
		"create-topic": createTopic,
		"produce":      produce,
		"consume":      consume,
		"group":        group,
		"offsets":      offsets,
		"groups":       groups,
		"transact":     transact,
	}[o.scenario](o)
}

func client(o options, more ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(more, kgo.SeedBrokers(o.bootstrap))...)
	check(err)
	return client
}

func createTopic(o options) {
	admin := kadm.NewClient(client(o))
	defer admin.Close()
	_, err := admin.CreateTopic(background, int32(o.partitions), 1, nil, o.topic)
	check(err)
}

// produce sends each record of stdin; idempotent, and without an end to retries, as by default.
func produce(o options) {
	codec := map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}[o.codec]
	client := client(o,
		kgo.DefaultProduceTopic(o.topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(1_048_588),
		kgo.AllowAutoTopicCreation(),
	)
	defer client.Close()
	eachRecord(func(r record) {
		sent := &kgo.Record{Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: r.time()}
		for _, h := range r.Headers {
			sent.Headers = append(sent.Headers, kgo.RecordHeader{Key: h.name, Value: h.value})
		}
		client.Produce(background, sent, func(sent *kgo.Record, err error) {
			if err != nil {
				emitFailed(r.Index, err)
			} else {
				emitAck(r.Index, sent.Partition, sent.Offset)
			}
		})
	})
	check(client.Flush(background))
}

func emitRecord(r *kgo.Record) {
	headers := []header{}
	for _, h := range r.Headers {
		headers = append(headers, header{h.Key, h.Value})
	}
	emit("record", record{
		Partition: r.Partition,
		Offset:    r.Offset,
		Timestamp: r.Timestamp.UnixMilli(),
		Key:       r.Key,
		Value:     r.Value,
		Headers:   headers,
	})
}

// consume reads all partitions from the start until count records came.
func consume(o options) {
	client := client(o,
		kgo.ConsumeTopics(o.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	defer client.Close()
	for missing := o.count; missing > 0; {
		fetches := client.PollFetches(background)
		check(fetches.Err())
		fetches.EachRecord(emitRecord)
		missing -= fetches.NumRecords()
	}
}

// group is a member of a group: a line on stdin commits, the end of stdin leaves. The default balancer is
// cooperative, so a rebalance adds and takes away.
func group(o options) {
	var lock sync.Mutex
	held := []int32{}
	commit := func(client *kgo.Client) { check(client.CommitUncommittedOffsets(background)) }
	lost := func(taken map[string][]int32) {
		lock.Lock()
		defer lock.Unlock()
		held = slices.DeleteFunc(held, func(p int32) bool { return slices.Contains(taken[o.topic], p) })
		emit("revoked", slices.Concat([]int32{}, taken[o.topic]))
	}
	assigned := []kgo.Opt{}
	if o.settings["group.protocol"] == "consumer" {
		assigned = append(assigned, kgo.ServerSideBalancer())
	}
	client := client(o, append(assigned,
		kgo.ConsumerGroup(o.group),
		kgo.ConsumeTopics(o.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			lock.Lock()
			defer lock.Unlock()
			held = append(held, added[o.topic]...)
			emit("assignment", held)
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, client *kgo.Client, taken map[string][]int32) {
			commit(client)
			lost(taken)
			lock.Lock()
			defer lock.Unlock()
			emit("assignment", held)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) { lost(taken) }),
	)...)
	for lines, open := commands(), true; open; {
		select {
		case _, open = <-lines:
			if open {
				commit(client)
				emit("committed", true)
			}
		default:
			soon, cancel := context.WithTimeout(background, 100*time.Millisecond)
			client.PollFetches(soon).EachRecord(emitRecord)
			cancel()
			client.AllowRebalance()
		}
	}
	commit(client)
	client.CloseAllowingRebalance()
}

func offsets(o options) {
	admin := kadm.NewClient(client(o))
	defer admin.Close()
	earliest, err := admin.ListStartOffsets(background, o.topic)
	check(err)
	latest, err := admin.ListEndOffsets(background, o.topic)
	check(err)
	found, err := admin.ListOffsetsAfterMilli(background, o.timestamp, o.topic)
	check(err)
	found.Each(func(at kadm.ListedOffset) {
		check(at.Err)
		first, _ := earliest.Lookup(o.topic, at.Partition)
		end, _ := latest.Lookup(o.topic, at.Partition)
		offset := at.Offset
		if at.Timestamp == -1 {
			// The library says the end where the broker says that there is none.
			offset = -1
		}
		emit("offsets", map[string]any{
			"partition": at.Partition,
			"earliest":  first.Offset,
			"latest":    end.Offset,
			"at":        offset,
		})
	})
}

func groups(o options) {
	admin := kadm.NewClient(client(o))
	defer admin.Close()
	listed, err := admin.ListGroups(background)
	check(err)
	answer, err := admin.DescribeGroups(background, o.group)
	check(err)
	described, err := answer.On(o.group, nil)
	check(err)
	members := [][]int32{}
	for _, member := range described.Members {
		partitions := []int32{}
		if assigned, ok := member.Assigned.AsConsumer(); ok {
			for _, topic := range assigned.Topics {
				partitions = append(partitions, topic.Partitions...)
			}
		}
		slices.Sort(partitions)
		members = append(members, partitions)
	}
	emit("groups", map[string]any{
		"listed":  listed.Groups(),
		"group":   described.Group,
		"state":   described.State,
		"members": members,
	})
}

// transact copies a topic, record by record. Every second of six transactions is aborted, after which its record
// comes again.
func transact(o options) {
	input := o.topic + "-input"
	plain := client(o, kgo.DefaultProduceTopic(input), kgo.AllowAutoTopicCreation())
	defer plain.Close()
	for range 6 {
		check(plain.ProduceSync(background, kgo.StringRecord("in")).FirstErr())
	}
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(o.bootstrap),
		kgo.TransactionalID(o.group),
		kgo.DefaultProduceTopic(o.topic),
		kgo.ConsumerGroup(o.group),
		kgo.ConsumeTopics(input),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
	)
	check(err)
	defer session.Close()
	for number := 0; number < 6; {
		if session.PollRecords(background, 1).Empty() {
			continue
		}
		check(session.Begin())
		for half := range 2 {
			value := kgo.StringRecord(fmt.Sprintf("%d-%d", number, half))
			check(session.ProduceSync(background, value).FirstErr())
		}
		ended, err := session.End(background, kgo.TransactionEndTry(number%2 == 0))
		check(err)
		if ended != (number%2 == 0) {
			panic("the transaction did not end as it was told to")
		}
		number++
	}
	offsets, err := kadm.NewClient(plain).FetchOffsets(background, o.group)
	check(err)
	committed, _ := offsets.Lookup(input, 0)
	emit("checked", fmt.Sprint(committed.At))
}
