//! Four-letter words: what they are, who may ask, and how an answer comes to be (operations §8.1): the state thread
//! says what its replica looks like, all else happens where the word was asked. The texts are `word_text`'s.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::ask::Asker;
use super::environment;
use super::word_text::{self, Context, Measured};
use crate::server::replica::{Status, Wanted};

/// The words this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Ruok,
    Srvr,
    Stat,
    Mntr,
    Conf,
    Cons,
    Envi,
    Dump,
    Isro,
    Wchs,
}

impl Word {
    const ALL: [(Word, &'static str); 10] = [
        (Word::Ruok, "ruok"),
        (Word::Srvr, "srvr"),
        (Word::Stat, "stat"),
        (Word::Mntr, "mntr"),
        (Word::Conf, "conf"),
        (Word::Cons, "cons"),
        (Word::Envi, "envi"),
        (Word::Dump, "dump"),
        (Word::Isro, "isro"),
        (Word::Wchs, "wchs"),
    ];

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Word> {
        Word::ALL.into_iter().find(|(_, text)| text.as_bytes() == bytes).map(|(word, _)| word)
    }

    /// The lists that the answer shows.
    fn wanted(self) -> Wanted {
        let connections = matches!(self, Word::Stat | Word::Cons | Word::Dump);
        let dumps = self == Word::Dump;
        Wanted { connections, sessions: dumps, ephemerals: dumps }
    }

    /// Whether the answer is as long as the ensemble's clients make it.
    pub(super) fn is_list(self) -> bool {
        self.wanted().connections
    }

    fn text(self) -> &'static str {
        Word::ALL.into_iter().find(|(word, _)| *word == self).map_or("", |(_, text)| text)
    }
}

/// Which words are answered: `4lw.commands.whitelist`, and `srvr` always.
#[derive(Debug, Clone)]
pub(super) struct Whitelist {
    words: Vec<String>,
}

impl Whitelist {
    /// A comma list; `*` is every word.
    pub(super) fn new(list: &str) -> Whitelist {
        Whitelist { words: list.split(',').map(|word| word.trim().to_owned()).collect() }
    }

    fn allows(&self, word: Word) -> bool {
        word == Word::Srvr || self.words.iter().any(|listed| listed == "*" || listed == word.text())
    }
}

/// Answers words, wherever they are asked.
pub(super) struct Words {
    asker: Asker,
    whitelist: Whitelist,
    context: Context,
    measure: Measure,
    /// Answers that are being measured and written.
    measuring: Semaphore,
}

/// Looks up what a word shows of the machine. May take as long as a disk does.
type Measure = fn(Word, &Context) -> Measured;

impl Words {
    pub(super) fn new(asker: Asker, whitelist: Whitelist, context: Context) -> Words {
        Words { asker, whitelist, context, measure, measuring: Semaphore::new(MEASURING_MAX) }
    }

    /// To be held while a word is answered: what takes long, or much memory, is done for a few at a time.
    pub(super) async fn place(&self, word: Word) -> Option<SemaphorePermit<'_>> {
        if is_short(word) || !self.whitelist.allows(word) {
            None
        } else {
            self.measuring.acquire().await.ok()
        }
    }

    /// What the connection gets before it is closed; `None` when the server is ending.
    pub(super) async fn answer(self: &Arc<Self>, word: Word) -> Option<String> {
        if !self.whitelist.allows(word) {
            return Some(format!("{} is not executed because it is not in the whitelist.\n", word.text()));
        }
        let status = self.asker.status(word.wanted()).await?;
        if is_short(word) {
            return Some(text(word, &status, &self.context, &Measured::default()));
        }
        // The rest looks at directories or writes long lists: not on a thread that serves sockets.
        let words = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || {
            let measured = (words.measure)(word, &words.context);
            text(word, &status, &words.context, &measured)
        });
        written.await.ok()
    }
}

/// A word whose answer takes nothing but what the state thread knows by heart.
fn is_short(word: Word) -> bool {
    matches!(word, Word::Ruok | Word::Isro | Word::Srvr | Word::Wchs)
}

/// The answer to a word, from nothing but its arguments.
fn text(word: Word, status: &Status, context: &Context, measured: &Measured) -> String {
    let Some(mode) = status.mode else {
        return match word {
            Word::Ruok => "imok".to_owned(),
            Word::Envi => word_text::envi(measured),
            Word::Isro => "null".to_owned(),
            _ => "This ZooKeeper instance is not currently serving requests\n".to_owned(),
        };
    };
    match word {
        Word::Ruok => "imok".to_owned(),
        Word::Isro => "rw".to_owned(),
        Word::Envi => word_text::envi(measured),
        Word::Srvr => word_text::srvr(status, mode, context),
        Word::Stat => word_text::stat(status, mode, context),
        Word::Mntr => word_text::mntr(status, mode, context, measured),
        Word::Conf => word_text::conf(&context.conf, measured),
        Word::Cons => word_text::cons(status),
        Word::Dump => word_text::dump(status, context),
        Word::Wchs => word_text::wchs(status),
    }
}

fn measure(word: Word, context: &Context) -> Measured {
    match word {
        Word::Conf => Measured {
            data_len: environment::dir_len(&context.conf.data_dir),
            data_log_len: environment::dir_len(&context.conf.data_log_dir),
            ..Measured::default()
        },
        Word::Mntr => Measured {
            open_files: environment::open_files(),
            open_files_max: environment::open_files_max(),
            free_bytes: environment::free_bytes(&context.conf.data_dir, &context.conf.data_log_dir),
            config_changed: context.origins.config_changed(),
            data_moved: context.origins.data_moved(),
            ..Measured::default()
        },
        Word::Envi => Measured { environment: environment::facts(&context.version), ..Measured::default() },
        _ => Measured::default(),
    }
}

/// Answers measured at the same time. One that waits for a slow disk holds a thread, a long list its memory twice.
const MEASURING_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::server::process::ask;
    use crate::server::process::origins::Origins;
    use crate::server::process::word_text::Conf;
    use crate::server::replica::{self, Now, Replica};
    use crate::server::tree::{self, Tree};
    use crate::wire::ids::ServerId;

    const NOW: Now = Now { ms: 5, wall_ms: 1_700_000_000_000 };

    fn context() -> Context {
        let conf = Conf {
            client_port: 2181,
            data_dir: "/data/version-2".into(),
            data_log_dir: "/log/version-2".into(),
            tick_ms: 2000,
            clients_per_ip_max: 60,
            session_timeout_ms_min: 4000,
            session_timeout_ms_max: 40_000,
            backlog: -1,
            server_id: 0,
            quorum: None,
        };
        let origins = Origins::new(Path::new("zoo.cfg"), Vec::new(), &[]);
        Context { version: "1".into(), conf, origins, membership: None, origin_wall_ms: 0 }
    }

    fn replica() -> Replica {
        let settings = replica::Settings {
            me: ServerId(1),
            tick_ms: 1000,
            session_timeout_ms_min: 2000,
            session_timeout_ms_max: 20_000,
            session_salt: 0,
            leader_serves: true,
            outstanding_max: 1000,
            super_digest: None,
            tree: tree::Settings::default(),
            container_check_ms: 60_000,
            container_never_used_ms: 0,
            config_text: None,
        };
        Replica::standalone(settings, Tree::new(), NOW)
    }

    /// Words over a state thread that answers at once.
    fn words(measure: Measure) -> Arc<Words> {
        let (asker, mut asks) = ask::channel();
        tokio::spawn(async move {
            let replica = replica();
            while let Some(ask) = asks.recv().await {
                let _ = ask.answer.send(Box::new(replica.status(NOW, ask.wanted)));
            }
        });
        let words = Words::new(asker, Whitelist::new("*"), context());
        Arc::new(Words { measure, ..words })
    }

    #[test]
    fn a_text_is_made_of_its_arguments_alone() {
        let measured = Measured {
            data_len: 77,
            data_log_len: 88,
            open_files: 9,
            free_bytes: Some(5),
            data_moved: true,
            ..Measured::default()
        };
        let status = replica().status(NOW, Wanted::default());
        let conf = text(Word::Conf, &status, &context(), &measured);
        assert!(conf.contains("dataDirSize=77\ndataLogDir=/log/version-2\ndataLogSize=88\n"), "{conf}");
        let mntr = text(Word::Mntr, &status, &context(), &measured);
        assert!(mntr.contains("zk_open_file_descriptor_count\t9\n"), "{mntr}");
        assert!(mntr.contains("zk_disk_free_bytes\t5\nzk_config_changed\t0\nzk_data_moved\t1\n"), "{mntr}");
    }

    #[test]
    fn lists_are_copied_for_the_words_that_show_them() {
        let listing = |word: &Word| word.wanted() != Wanted::default();
        let words: Vec<_> = Word::ALL.into_iter().map(|(word, _)| word).filter(listing).collect();
        assert_eq!(words, [Word::Stat, Word::Cons, Word::Dump]);
    }

    #[tokio::test]
    async fn what_is_not_listed_is_refused_and_srvr_never() {
        let (asker, asks) = ask::channel();
        drop(asks);
        let words = Arc::new(Words::new(asker, Whitelist::new("ruok"), context()));
        let refusal = words.answer(Word::Conf).await.unwrap();
        assert_eq!(refusal, "conf is not executed because it is not in the whitelist.\n");
        assert_eq!(words.answer(Word::Srvr).await, None, "the state thread is gone");
    }

    /// Where a slow disk waits until the test lets it go on.
    static DISK: Mutex<Option<Receiver<()>>> = Mutex::new(None);

    fn slow_disk(_: Word, _: &Context) -> Measured {
        let disk = DISK.lock().unwrap().take().expect("one word measures at a time");
        disk.recv().unwrap();
        Measured { data_len: 77, ..Measured::default() }
    }

    /// One thread for sockets and the state: a directory that is read on it would stop both.
    #[tokio::test]
    async fn a_slow_directory_holds_up_who_asked_and_nobody_else() {
        let (go_on, disk) = channel();
        *DISK.lock().unwrap() = Some(disk);
        let words = words(slow_disk);
        let waits = tokio::spawn({
            let words = words.clone();
            async move { words.answer(Word::Conf).await }
        });
        while DISK.lock().unwrap().is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(words.answer(Word::Ruok).await.unwrap(), "imok");
        assert!(words.answer(Word::Srvr).await.unwrap().contains("Mode: standalone\n"));
        assert!(!waits.is_finished());
        go_on.send(()).unwrap();
        assert!(waits.await.unwrap().unwrap().contains("dataDirSize=77\n"));
    }
}
