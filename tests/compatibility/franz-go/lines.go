package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// options is the command line after the scenario.
type options struct {
	scenario, bootstrap, topic, group, codec string
	partitions, count                        int
	timestamp                                int64
	settings                                 map[string]string
}

func parseOptions() options {
	o := options{settings: map[string]string{}}
	o.scenario = os.Args[1]
	flags := flag.NewFlagSet(o.scenario, flag.ExitOnError)
	flags.StringVar(&o.bootstrap, "bootstrap", "", "host:port")
	flags.StringVar(&o.topic, "topic", "", "")
	flags.StringVar(&o.group, "group", "", "")
	flags.StringVar(&o.codec, "codec", "none", "")
	flags.IntVar(&o.partitions, "partitions", 1, "")
	flags.IntVar(&o.count, "count", 0, "")
	flags.Int64Var(&o.timestamp, "timestamp", 0, "milliseconds since 1970")
	flags.Func("set", "key=value", func(setting string) error {
		key, value, _ := strings.Cut(setting, "=")
		o.settings[key] = value
		return nil
	})
	flags.Parse(os.Args[2:])
	return o
}

// header is a name and a value that may be null; in JSON a list of both.
type header struct {
	name  string
	value []byte
}

func (h header) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{h.name, h.value})
}

func (h *header) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&h.name, &h.value})
}

// record is a line to send (with an index) or one that was read (with an offset); bytes are base64 in JSON.
type record struct {
	Index     int64    `json:"index"`
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp int64    `json:"timestamp"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []header `json:"headers"`
}

func (r record) time() time.Time { return time.UnixMilli(r.Timestamp) }

var output sync.Mutex

// emit prints {name: value}.
func emit(name string, value any) {
	line, err := json.Marshal(map[string]any{name: value})
	check(err)
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

func emitAck(index int64, partition int32, offset int64) {
	emit("ack", map[string]any{"index": index, "partition": partition, "offset": offset})
}

func emitFailed(index int64, err error) {
	emit("failed", map[string]any{"index": index, "error": err.Error()})
}

// eachRecord calls do for each record of stdin.
func eachRecord(do func(record)) {
	lines := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var r record
		if err := lines.Decode(&r); err == io.EOF {
			return
		} else {
			check(err)
		}
		do(r)
	}
}

// commands gives one value for each line of stdin and is closed at its end.
func commands() <-chan struct{} {
	lines := make(chan struct{})
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(os.Stdin)
		for scanner.Scan() {
			lines <- struct{}{}
		}
	}()
	return lines
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
