// sarama.
package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

func main() {
	o := parseOptions()
	map[string]func(options){
		"create-topic": createTopic,
		"produce":      produce,
		"consume":      consume,
		"group":        group,
		"offsets":      offsets,
		"groups":       groups,
	}[o.scenario](o)
}

func admin(o options) sarama.ClusterAdmin {
	admin, err := sarama.NewClusterAdmin([]string{o.bootstrap}, sarama.NewConfig())
	check(err)
	return admin
}

func createTopic(o options) {
	admin := admin(o)
	defer admin.Close()
	check(admin.CreateTopic(o.topic, &sarama.TopicDetail{
		NumPartitions:     int32(o.partitions),
		ReplicationFactor: 1,
	}, false))
}

// nullable encodes bytes of which nil is null.
type nullable []byte

func (n nullable) Encode() ([]byte, error) { return n, nil }
func (n nullable) Length() int             { return len(n) }

// produce sends each record of stdin with an idempotent producer; survives an absent broker for some minutes.
func produce(o options) {
	config := sarama.NewConfig()
	config.Net.MaxOpenRequests = 1
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.MaxMessageBytes = 1_048_588
	config.Producer.Return.Successes = true
	config.Producer.Retry.Max = 1000
	config.Producer.Retry.Backoff = 250 * time.Millisecond
	config.Metadata.Retry.Max = 1000
	check(config.Producer.Compression.UnmarshalText([]byte(o.codec)))
	producer, err := sarama.NewAsyncProducer([]string{o.bootstrap}, config)
	check(err)
	var answers sync.WaitGroup
	answers.Go(func() {
		for sent := range producer.Successes() {
			emitAck(sent.Metadata.(int64), sent.Partition, sent.Offset)
		}
	})
	answers.Go(func() {
		for failure := range producer.Errors() {
			emitFailed(failure.Msg.Metadata.(int64), failure.Err)
		}
	})
	eachRecord(func(r record) {
		message := &sarama.ProducerMessage{
			Topic:     o.topic,
			Partition: r.Partition,
			Timestamp: r.time(),
			Metadata:  r.Index,
		}
		if r.Key != nil {
			message.Key = nullable(r.Key)
		}
		if r.Value != nil {
			message.Value = nullable(r.Value)
		}
		for _, h := range r.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(h.name), Value: h.value})
		}
		producer.Input() <- message
	})
	producer.AsyncClose()
	answers.Wait()
}

func emitMessage(m *sarama.ConsumerMessage) {
	headers := []header{}
	for _, h := range m.Headers {
		headers = append(headers, header{string(h.Key), h.Value})
	}
	emit("record", record{
		Partition: m.Partition,
		Offset:    m.Offset,
		Timestamp: m.Timestamp.UnixMilli(),
		Key:       m.Key,
		Value:     m.Value,
		Headers:   headers,
	})
}

// consume reads all partitions from the start until count records came.
func consume(o options) {
	consumer, err := sarama.NewConsumer([]string{o.bootstrap}, sarama.NewConfig())
	check(err)
	partitions, err := consumer.Partitions(o.topic)
	check(err)
	messages := make(chan *sarama.ConsumerMessage)
	for _, partition := range partitions {
		reader, err := consumer.ConsumePartition(o.topic, partition, sarama.OffsetOldest)
		check(err)
		go func() {
			for message := range reader.Messages() {
				messages <- message
			}
		}()
	}
	for range o.count {
		emitMessage(<-messages)
	}
}

// member is the handler of a session: it prints, marks, and commits when asked.
type member struct {
	topic   string
	commits chan struct{}
}

func (m member) Setup(session sarama.ConsumerGroupSession) error {
	emit("assignment", slices.Concat([]int32{}, session.Claims()[m.topic]))
	go func() {
		for {
			select {
			case <-m.commits:
				session.Commit()
				emit("committed", true)
			case <-session.Context().Done():
				return
			}
		}
	}()
	return nil
}

func (m member) Cleanup(session sarama.ConsumerGroupSession) error {
	session.Commit()
	emit("revoked", slices.Concat([]int32{}, session.Claims()[m.topic]))
	return nil
}

func (m member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			// Marked first: a commit that is asked for after the line is read covers the record.
			session.MarkMessage(message, "")
			emitMessage(message)
		case <-session.Context().Done():
			return nil
		}
	}
}

// group is a member of a group: a line on stdin commits, the end of stdin leaves.
func group(o options) {
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	config.Metadata.Retry.Max = 1000
	group, err := sarama.NewConsumerGroup([]string{o.bootstrap}, o.group, config)
	check(err)
	until, leave := context.WithCancel(context.Background())
	handler := member{o.topic, make(chan struct{})}
	go func() {
		for range commands() {
			handler.commits <- struct{}{}
		}
		leave()
	}()
	for until.Err() == nil {
		// Returns at each rebalance, and with an error while there is no broker.
		if err := group.Consume(until, []string{o.topic}, handler); err != nil {
			println(err.Error())
			select {
			case <-until.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	check(group.Close())
}

func offsets(o options) {
	client, err := sarama.NewClient([]string{o.bootstrap}, sarama.NewConfig())
	check(err)
	defer client.Close()
	partitions, err := client.Partitions(o.topic)
	check(err)
	offset := func(partition int32, time int64) int64 {
		offset, err := client.GetOffset(o.topic, partition, time)
		check(err)
		return offset
	}
	for _, partition := range partitions {
		emit("offsets", map[string]any{
			"partition": partition,
			"earliest":  offset(partition, sarama.OffsetOldest),
			"latest":    offset(partition, sarama.OffsetNewest),
			"at":        offset(partition, o.timestamp),
		})
	}
}

func groups(o options) {
	admin := admin(o)
	defer admin.Close()
	listed, err := admin.ListConsumerGroups()
	check(err)
	names := []string{}
	for name := range listed {
		names = append(names, name)
	}
	answer, err := admin.DescribeConsumerGroups([]string{o.group})
	check(err)
	members := [][]int32{}
	for _, member := range answer[0].Members {
		assignment, err := member.GetMemberAssignment()
		check(err)
		partitions := []int32{}
		for _, of := range assignment.Topics {
			partitions = append(partitions, of...)
		}
		slices.Sort(partitions)
		members = append(members, partitions)
	}
	emit("groups", map[string]any{
		"listed":  names,
		"group":   answer[0].GroupId,
		"state":   answer[0].State,
		"members": members,
	})
}
