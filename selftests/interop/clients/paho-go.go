// SPDX-License-Identifier: GPL-2.0

// Driver of Paho's Go client for client-matrix, which says what it reads and prints.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const keepAlive = 60 * time.Second

var (
	client  mqtt.Client
	version uint64
	output  sync.Mutex
)

func say(format string, args ...interface{}) {
	output.Lock()
	defer output.Unlock()
	fmt.Printf(format+"\n", args...)
}

// Print what becomes of a request, without holding up the next one.
func answer(token mqtt.Token, done func()) {
	go func() {
		token.Wait()
		if token.Error() != nil {
			say("failed %v", token.Error())
		} else {
			done()
		}
	}()
}

func event(word string) func() {
	return func() { say(word) }
}

func number(s string) byte {
	n, err := strconv.Atoi(s)
	if err != nil {
		say("failed command: %v", err)
	}
	return byte(n)
}

func arrived(_ mqtt.Client, m mqtt.Message) {
	retained := 0
	if m.Retained() {
		retained = 1
	}
	say("message %d %d %s %s", m.Qos(), retained, m.Topic(), m.Payload())
}

func connect(rest string) {
	words := strings.SplitN(rest, " ", 6)
	o := mqtt.NewClientOptions()
	o.AddBroker("tcp://127.0.0.1:" + os.Args[1])
	o.SetClientID(words[0])
	o.SetCleanSession(words[1] == "1")
	o.SetProtocolVersion(uint(version))
	o.SetKeepAlive(keepAlive)
	o.SetAutoReconnect(false)
	o.SetDefaultPublishHandler(arrived)
	if len(words) == 6 {
		o.SetWill(words[4], words[5], number(words[2]), words[3] == "1")
	}
	client = mqtt.NewClient(o)
	// This version of the library does not tell whether a session was present.
	answer(client.Connect(), event("connected -"))
}

func subscribe(rest string) {
	words := strings.SplitN(rest, " ", 2)
	token := client.Subscribe(words[1], number(words[0]), nil)
	answer(token, func() {
		say("subscribed %d", token.(*mqtt.SubscribeToken).Result()[words[1]])
	})
}

func publish(rest string) {
	words := strings.SplitN(rest, " ", 4)
	answer(client.Publish(words[2], number(words[0]), words[1] == "1", words[3]),
		event("published"))
}

func main() {
	version, _ = strconv.ParseUint(os.Args[2], 10, 8)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.SplitN(lines.Text(), " ", 2)
		switch words[0] {
		case "connect":
			connect(words[1])
		case "subscribe":
			subscribe(words[1])
		case "unsubscribe":
			answer(client.Unsubscribe(words[1]), event("unsubscribed"))
		case "publish":
			publish(words[1])
		case "disconnect":
			client.Disconnect(250)
			say("disconnected")
		}
	}
}
