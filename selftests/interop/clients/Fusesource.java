// SPDX-License-Identifier: GPL-2.0
// Driver of Debian's Java client for client-matrix, which says what it reads and prints.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayDeque;
import java.util.function.Consumer;
import org.fusesource.hawtbuf.Buffer;
import org.fusesource.hawtbuf.UTF8Buffer;
import org.fusesource.mqtt.client.Callback;
import org.fusesource.mqtt.client.CallbackConnection;
import org.fusesource.mqtt.client.Listener;
import org.fusesource.mqtt.client.MQTT;
import org.fusesource.mqtt.client.QoS;
import org.fusesource.mqtt.client.Topic;
import org.fusesource.mqtt.client.Tracer;
import org.fusesource.mqtt.codec.CONNACK;
import org.fusesource.mqtt.codec.MQTTFrame;
import org.fusesource.mqtt.codec.PUBLISH;

class Fusesource {
    private static final short KEEP_ALIVE = 60;
    private final int port;
    private final String version;
    private CallbackConnection connection;

    Fusesource(String port, String version) {
        this.port = Integer.parseInt(port);
        this.version = version.equals("3") ? "3.1" : "3.1.1";
    }

    static synchronized void say(String event) {
        System.out.println(event);
    }

    static <T> Callback<T> answer(Consumer<T> success) {
        return new Callback<T>() {
            public void onSuccess(T value) {
                success.accept(value);
            }

            public void onFailure(Throwable cause) {
                say("failed " + cause);
            }
        };
    }

    // The listener is not told QoS, RETAIN and session present: the frames are.
    static class Frames extends Tracer {
        final ArrayDeque<MQTTFrame> messages = new ArrayDeque<>();
        int sessionPresent;

        @Override
        public void onReceive(MQTTFrame frame) {
            if (frame.messageType() == PUBLISH.TYPE)
                messages.add(frame);
            else if (frame.messageType() == CONNACK.TYPE)
                sessionPresent = frame.buffers()[0].get(0) & 1;
        }
    }

    static class Messages implements Listener {
        final Frames frames;

        Messages(Frames frames) {
            this.frames = frames;
        }

        public void onConnected() {
        }

        public void onDisconnected() {
        }

        public void onFailure(Throwable cause) {
            say("failed connection: " + cause);
        }

        public void onPublish(UTF8Buffer topic, Buffer body, Runnable ack) {
            MQTTFrame frame = frames.messages.remove();
            say("message " + frame.qos().ordinal() + " " + (frame.retain() ? 1 : 0) + " " + topic
                + " " + body.utf8());
            ack.run();
        }
    }

    void connect(String[] words) throws Exception {
        MQTT mqtt = new MQTT();
        Frames frames = new Frames();
        mqtt.setHost("127.0.0.1", port);
        mqtt.setVersion(version);
        mqtt.setClientId(words[0]);
        mqtt.setCleanSession(words[1].equals("1"));
        mqtt.setKeepAlive(KEEP_ALIVE);
        mqtt.setConnectAttemptsMax(0);
        mqtt.setReconnectAttemptsMax(0);
        mqtt.setTracer(frames);
        if (words.length == 6) {
            mqtt.setWillQos(QoS.values()[Integer.parseInt(words[2])]);
            mqtt.setWillRetain(words[3].equals("1"));
            mqtt.setWillTopic(words[4]);
            mqtt.setWillMessage(words[5]);
        }
        connection = mqtt.callbackConnection();
        connection.listener(new Messages(frames));
        connection.connect(answer(nothing -> say("connected " + frames.sessionPresent)));
    }

    void subscribe(String[] words) {
        Topic[] topics = {new Topic(words[1], QoS.values()[Integer.parseInt(words[0])])};
        connection.subscribe(topics, answer(granted -> say("subscribed " + granted[0])));
    }

    void unsubscribe(String filter) {
        UTF8Buffer[] topics = {new UTF8Buffer(filter)};
        connection.unsubscribe(topics, answer(nothing -> say("unsubscribed")));
    }

    void publish(String[] words) {
        connection.publish(words[2], words[3].getBytes(),
            QoS.values()[Integer.parseInt(words[0])], words[1].equals("1"),
            answer(nothing -> say("published")));
    }

    void obey(String word, String rest) throws Exception {
        switch (word) {
        case "subscribe":
            subscribe(rest.split(" ", 2));
            break;
        case "unsubscribe":
            unsubscribe(rest);
            break;
        case "publish":
            publish(rest.split(" ", 4));
            break;
        case "disconnect":
            connection.disconnect(answer(nothing -> say("disconnected")));
            break;
        default:
            say("failed command");
        }
    }

    public static void main(String[] args) throws Exception {
        Fusesource driver = new Fusesource(args[0], args[1]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        String line;
        while ((line = lines.readLine()) != null) {
            String[] words = line.split(" ", 2);
            if (words[0].equals("connect")) {
                driver.connect(words[1].split(" ", 6));
                continue;
            }
            driver.connection.getDispatchQueue().execute(() -> {
                try {
                    driver.obey(words[0], words.length > 1 ? words[1] : "");
                } catch (Exception e) {
                    say("failed " + e);
                }
            });
        }
        System.exit(0);
    }
}
