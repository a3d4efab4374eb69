//! Random commands in random groups, with restarts and lost transactions between them, against a
//! model that is a vector and a map.

use std::collections::BTreeMap;

use kith::chat::durable::{Write, Written};
use kith::chat::refusal::ErrorCode;
use kith::clock::UnixMillis;
use kith::ids::{Key, PublicId, Seq, Tag};
use kith::limits::{PAGE_BYTES, PAGE_ENTRIES};
use kith::store::engine::Engine;
use proptest::prelude::*;

use crate::ground::{Ground, InFile, InMemory, Server, text};

const KEEP: u64 = 70;

#[derive(Clone, Debug)]
enum Step {
    /// One commit.
    Commit(Vec<Said>),
    /// A transaction that nobody commits, and a restart.
    Crash(Vec<Said>),
}

#[derive(Clone, Debug)]
struct Said {
    who: u8,
    key: Option<u8>,
    text: String,
}

fn said() -> impl Strategy<Value = Said> {
    let text = prop_oneof![
        8 => "[a-c]{0,2}",
        1 => (1usize..65).prop_map(|kib| "x".repeat(kib * 1024)),
    ];
    (0u8..4, proptest::option::of(0u8..6), text).prop_map(|(who, key, text)| Said {
        who,
        key,
        text,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let group = || proptest::collection::vec(said(), 1..12);
    proptest::collection::vec(
        prop_oneof![6 => group().prop_map(Step::Commit), 1 => group().prop_map(Step::Crash)],
        1..30,
    )
}

/// What the store should hold.
#[derive(Default)]
struct Model {
    log: Vec<(String, Tag)>,
    keys: BTreeMap<(PublicId, Key), (String, Seq)>,
}

impl Model {
    /// What the store should have answered; learns the tag, which only the store can choose.
    fn expect(&mut self, write: &Write, result: &Result<Written, ErrorCode>) {
        let Write::Talk {
            from, text, key, ..
        } = write;
        if text.trim().is_empty() {
            assert_eq!(result, &Err(ErrorCode::TextEmpty));
            return;
        }
        let known = key.and_then(|key| self.keys.get(&(from.id, key)));
        match known {
            Some((then, seq)) if then == text => match result {
                Ok(Written::Again {
                    seq: again, tag, ..
                }) => {
                    assert_eq!((again, tag), (seq, &self.log[seq.0 as usize - 1].1));
                }
                other => panic!("{other:?}"),
            },
            Some(_) => assert_eq!(result, &Err(ErrorCode::KeyReused)),
            None => match result {
                Ok(Written::Appended(entry)) => {
                    assert_eq!(entry.seq.0, self.log.len() as u64 + 1);
                    assert_eq!(entry.n, entry.seq.0);
                    self.log.push((text.clone(), entry.tag));
                    if let Some(key) = key {
                        self.keys.insert((from.id, *key), (text.clone(), entry.seq));
                    }
                }
                other => panic!("{other:?}"),
            },
        }
    }

    fn floor(&self) -> u64 {
        (self.log.len() as u64).saturating_sub(KEEP) + 1
    }
}

fn run(ground: &impl Ground, steps: &[Step]) {
    let mut server = ground.start(KEEP);
    let mut model = Model::default();
    for step in steps {
        let (Step::Commit(said) | Step::Crash(said)) = step;
        let writes: Vec<Write> = said.iter().map(|said| write(&server, said)).collect();
        match step {
            Step::Commit(_) => {
                for (write, result) in writes.iter().zip(server.flush(writes.clone())) {
                    model.expect(write, &result.map_err(|refusal| refusal.code));
                }
            }
            Step::Crash(_) => {
                let engine = server.writer.engine();
                engine.begin().unwrap();
                for write in &writes {
                    let _ = engine.apply(write, UnixMillis(0));
                }
                drop(server);
                server = ground.start(KEEP);
                assert_eq!(server.snapshot.lobby.head, Seq(model.log.len() as u64));
                assert_eq!(server.snapshot.lobby.floor, Seq(model.floor()));
            }
        }
        compare(&mut server, &model);
    }
}

fn write<E: Engine, R>(server: &Server<E, R>, said: &Said) -> Write {
    Write::Talk {
        app: server.app,
        conv: server.conv,
        from: crate::ground::person(&said.who.to_string()),
        text: said.text.clone(),
        key: said.key.map(crate::ground::key),
    }
}

fn compare<E, R>(server: &mut Server<E, R>, model: &Model)
where
    E: Engine,
    R: kith::store::engine::Reader,
{
    let found: Vec<_> = server
        .everything()
        .iter()
        .map(|e| (text(e).to_owned(), e.tag))
        .collect();
    assert_eq!(found, model.log[model.floor() as usize - 1..]);
    // Whatever page somebody asks for: it holds what was asked, and keeps to its bounds.
    let head = model.log.len() as u64;
    for next in [model.floor(), head.div_ceil(2).max(model.floor()), head] {
        if next == 0 || next > head {
            continue;
        }
        let entries = server.page(next).entries;
        assert!(entries.iter().any(|entry| entry.seq.0 == next));
        let aligned = |seq: u64| (seq - 1) / PAGE_ENTRIES;
        assert!(
            entries
                .iter()
                .all(|entry| aligned(entry.seq.0) == aligned(next))
        );
        assert!(entries.iter().map(|entry| text(entry).len()).sum::<usize>() <= PAGE_BYTES);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn in_memory_the_store_does_what_the_model_does(steps in steps()) {
        run(&InMemory::new(), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn in_a_file_the_store_does_what_the_model_does(steps in steps()) {
        run(&InFile::new(), &steps);
    }
}
