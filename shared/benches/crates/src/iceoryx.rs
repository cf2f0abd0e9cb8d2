//! iceoryx2: publish and subscribe, read in place. Who waits looks again and again.

use crate::course::Message;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::{env, fs, hint, process};

type Service = ipc::Service;

/// What one says and others hear. Its files lie in a folder of its own, which goes with it.
pub(crate) struct Topic {
    folder: String,
    name: String,
}

impl Topic {
    pub(crate) fn new() -> Topic {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("shared-bench-{}-{}-", process::id(), MADE.fetch_add(1, Relaxed));
        let folder = env::temp_dir().join(&name).to_str().expect("a name in UTF-8").to_owned();
        Topic { folder, name }
    }

    /// For one process: a node of its own, and the topic as that sees it. Nothing is dropped: who is ahead waits.
    fn open(&self, depth: usize) -> (Node<Service>, PortFactory<Service, [u64], ()>) {
        set_log_level(LogLevel::Fatal);
        let mut config = Config::default();
        config.global.prefix = FileName::new(self.name.as_bytes()).expect("a name");
        config.global.set_root_path(&Path::new(self.folder.as_bytes()).expect("a path"));
        let node = NodeBuilder::new().config(&config).create().expect("a node");
        let topic = node
            .service_builder(&ServiceName::new(&self.name).expect("a name"))
            .publish_subscribe::<[u64]>()
            .subscriber_max_buffer_size(depth)
            .max_publishers(1)
            .max_subscribers(1)
            .enable_safe_overflow(false)
            .open_or_create()
            .expect("a topic");
        (node, topic)
    }

    fn publisher(&self, words: usize, depth: usize) -> Sender {
        let (node, topic) = self.open(depth);
        let publisher = topic.publisher_builder().initial_max_slice_len(words);
        let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
        Sender { publisher: publisher.create().expect("a publisher"), _node: node }
    }

    fn subscriber(&self, depth: usize) -> Receiver {
        let (node, topic) = self.open(depth);
        Receiver { subscriber: topic.subscriber_builder().create().expect("a subscriber"), _node: node }
    }

    pub(crate) fn producer(&self, size: usize) -> impl FnMut(u64) {
        let sender = self.publisher(size / 8, depth(size));
        let mut message = vec![7; size / 8];
        move |number| {
            message[0] = number;
            sender.send(&message);
        }
    }

    pub(crate) fn consumer(&self, size: usize) -> impl FnMut() -> u64 {
        let receiver = self.subscriber(depth(size));
        move || receiver.receive(|message| message[0])
    }
}

fn depth(size: usize) -> usize {
    if size > 4096 { 4 } else { 256 }
}

struct Sender {
    publisher: Publisher<Service, [u64], ()>,
    _node: Node<Service>,
}

impl Sender {
    fn send(&self, message: &[u64]) {
        let sample =
            || self.publisher.loan_slice_uninit(message.len()).expect("room").write_from_slice(message);
        // It reaches nobody as long as the two have not found one another.
        while sample().send().expect("delivered") == 0 {
            hint::spin_loop();
        }
    }
}

struct Receiver {
    subscriber: Subscriber<Service, [u64], ()>,
    _node: Node<Service>,
}

impl Receiver {
    fn receive<T>(&self, read: impl FnOnce(&[u64]) -> T) -> T {
        loop {
            if let Some(sample) = self.subscriber.receive().expect("a connection") {
                return read(&sample);
            }
            hint::spin_loop();
        }
    }
}

/// One end of a conversation: what is said on one topic, and heard on another.
pub(crate) fn ends(says: &Topic, hears: &Topic) -> (impl FnMut(Message), impl FnMut() -> Message) {
    let (sender, receiver) = (says.publisher(8, 4), hears.subscriber(4));
    let say = move |message: Message| sender.send(&message);
    let hear = move || receiver.receive(|message| message.try_into().expect("eight numbers"));
    (say, hear)
}

impl Drop for Topic {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        // The crate leaves a file in shared memory that all nodes of a prefix have in common.
        for file in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().starts_with(&self.name) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}
