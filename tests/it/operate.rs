//! Use cases of the operator called from the library, as a console would: a script answers, hosts are this machine.
//! What a fleet leaves behind, on every way out.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zkops::operator::fleet::visit::Push;
use zkops::operator::observe::look::Depth;
use zkops::operator::operate::ask::{Answer, Ask, Question};
use zkops::operator::operate::caller::{Caller, Terms};
use zkops::operator::operate::session::{HOST_PATIENCE, Session, Source};
use zkops::operator::operate::{check, deploy, destroy, lifecycle, plan, repair, status};
use zkops::operator::plan::Goal;
use zkops::operator::transport::{self, LocalBinary, Secret};
use zkops::report::{Event, Exit, Failure, Sink};
use zkops::wire::ids::ServerId;

use crate::ensemble::{Ports, SOON};
use crate::run::{ZKOPS, block_on};

/// Three members below one directory, and the caller of their use cases.
struct Trial {
    caller: Caller,
    script: Arc<Script>,
    told: Arc<Mutex<Vec<Event>>>,
    inventory: PathBuf,
    ports: Ports,
    dir: tempfile::TempDir,
}

/// What a person says, in order; then nobody is there.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<String>>,
}

impl Ask for Script {
    fn consent(&self, question: &Question<'_>) -> Answer {
        self.asked
            .lock()
            .expect("no test thread panics with it")
            .push(format!("{}{question}", question.plan()));
        self.answers.lock().expect("no test thread panics with it").pop_front().unwrap_or(Answer::Nobody)
    }

    fn secret(&self, _question: &transport::Question) -> Option<Secret> {
        None
    }
}

impl Trial {
    fn new() -> Trial {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ports = Ports::reserve(9);
        let mut text = "cluster: trial\nconnection: local\nnodes:\n".to_owned();
        for (n, ports) in (1..).zip(ports.numbers.chunks(3)) {
            let [client, quorum, election] = ports else { panic!("three ports a node") };
            let home = dir.path().join(format!("node-{n}")).display().to_string();
            text += &format!(
                "  node-{n}: {{ id: {n}, ip: 127.0.0.1, ports: {{ client: {client}, quorum: {quorum}, election: {election} }}, \
                 install_dir: {home}, data_dir: {home}/data }}\n"
            );
        }
        let inventory = dir.path().join("trial.yml");
        std::fs::write(&inventory, text).expect("the directory is writable");
        let (script, told) = (Arc::new(Script::default()), Arc::new(Mutex::new(Vec::new())));
        let events = told.clone();
        let caller = Caller {
            terms: Terms {
                timeout: Duration::from_secs(120),
                accept_new_host_keys: false,
                break_lock: false,
                without: Vec::new(),
                program: Some(ZKOPS.into()),
            },
            ask: script.clone(),
            events: Sink::new(move |event| events.lock().expect("no test thread panics with it").push(event)),
            state_dir: dir.path().join("state"),
            started: Instant::now(),
            stop: Default::default(),
        };
        Trial { caller, script, told, inventory, ports, dir }
    }

    fn source(&self) -> Source {
        Source::File(self.inventory.clone())
    }

    fn deploy(&self) -> deploy::Request {
        deploy::Request { inventory: self.inventory.clone(), dry_run: false, old_host_is_gone: false }
    }

    fn answer(&self, answer: Answer) {
        self.script.answers.lock().expect("no test thread panics with it").push_back(answer);
    }

    /// How often a person was asked so far.
    fn asked(&self) -> usize {
        self.script.asked.lock().expect("no test thread panics with it").len()
    }

    /// Nothing of ours is on the hosts, and no agent runs there.
    async fn nothing_is_left(&self) {
        agents_end(self.dir.path()).await;
        for n in 1..=3 {
            let home = self.dir.path().join(format!("node-{n}"));
            assert!(!home.exists(), "{} is left", home.display());
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let request = destroy::Request {
            inventory: self.source(),
            data: true,
            yes: false,
            cluster: Some("trial".to_owned()),
            dry_run: false,
        };
        let gone = block_on(destroy::run(&self.caller, &request));
        if let Err(failure) = gone
            && !std::thread::panicking()
        {
            panic!("the ensemble was not taken down: {failure}");
        }
    }
}

/// Command lines of the agents that run from below `dir`.
fn agents(dir: &Path) -> Vec<String> {
    let dir = dir.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc is there");
    let lines = processes.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    let words = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned());
    words.filter(|line| line.starts_with(&dir) && line.ends_with(" host")).collect()
}

/// Waits until they have ended; what lets them go runs meanwhile.
async fn agents_end(dir: &Path) {
    let end = Instant::now() + SOON;
    loop {
        match agents(dir) {
            left if left.is_empty() => return,
            left if Instant::now() > end => panic!("agents are left: {left:?}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[test]
fn a_fleet_is_let_go_and_what_was_sent_taken_back_however_the_work_ends() {
    let trial = Trial::new();
    let dir = trial.dir.path();
    block_on(async {
        let binary = Arc::new(LocalBinary::open(Path::new(ZKOPS)).await.unwrap());
        let session = Session::load(&trial.caller, &trial.source()).unwrap();
        for ending in [Ok("done"), Err(Failure::new(Exit::Refused, "for a reason"))] {
            let expected = ending.clone();
            let push = Push::Beside(binary.clone());
            let visited = session.with_fleet(&push, HOST_PATIENCE, async |fleet| {
                assert_eq!(fleet.hosts().count(), 3);
                assert_eq!(agents(dir).len(), 3);
                assert!(dir.join("node-2/slots/zkops.next").exists());
                let word = ending?;
                assert_eq!(word, "done");
                Ok(word)
            });
            assert_eq!(visited.await, expected);
            trial.nothing_is_left().await;
        }
    });
    // Use cases that only look, and one that finds the hosts unfit.
    block_on(async {
        let planned = plan::run(&trial.caller, &plan::Request { inventory: trial.source() }).await.unwrap();
        assert_eq!(planned.exit(), Exit::Pending);
        trial.nothing_is_left().await;
        let checked = check::run(&trial.caller, &check::Request { inventory: trial.source() }).await.unwrap();
        assert_eq!(checked.unfit, None);
        trial.nothing_is_left().await;
        let taken = TcpListener::bind(("127.0.0.1", trial.ports.numbers[0])).expect("the port is free");
        let failure = deploy::run(&trial.caller, &trial.deploy()).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Preflight, "{failure}");
        drop(taken);
        trial.nothing_is_left().await;
    });
}

/// Directories that were made for the program go with it, and none that were there before.
#[test]
fn a_look_takes_away_no_directory_that_it_found() {
    let trial = Trial::new();
    let was_there = trial.dir.path().join("node-2");
    std::fs::create_dir(&was_there).expect("the directory is ours");
    block_on(async {
        check::run(&trial.caller, &check::Request { inventory: trial.source() }).await.unwrap();
    });
    assert!(std::fs::read_dir(&was_there).is_ok_and(|mut left| left.next().is_none()), "empty, as it was");
    assert!(!trial.dir.path().join("node-1").exists());
    std::fs::remove_dir(&was_there).expect("it is empty");
}

#[test]
fn an_ensemble_lives_and_ends_by_use_cases_alone() {
    let trial = Trial::new();
    let caller = &trial.caller;
    block_on(async {
        let deployed = deploy::run(caller, &trial.deploy()).await.unwrap();
        let deploy::Outcome::Ready(ready) = deployed else { panic!("it was no dry run") };
        assert!(ready.in_sync == 3 && ready.applied.is_some_and(|applied| applied.changed > 0), "{ready:?}");
        let title = "look at trial".to_owned();
        assert!(trial.told.lock().unwrap().contains(&Event::Phase { title }), "events go to the caller");
        let deploy::Outcome::Ready(again) = deploy::run(caller, &trial.deploy()).await.unwrap() else {
            panic!("it was no dry run")
        };
        assert_eq!(again.applied, None);

        // Later use cases know the ensemble by themselves.
        let stop = lifecycle::Request {
            verb: lifecycle::Verb::Stop,
            inventory: Source::LastDeployed,
            members: vec!["node-3".into()],
            agreed: false,
            dry_run: false,
        };
        lifecycle::run(caller, &stop).await.unwrap();
        let cure = repair::Request {
            member: "node-3".into(),
            inventory: Source::LastDeployed,
            yes: false,
            move_data_aside: false,
            foreign_data: None,
            wipe: false,
            purge_old: false,
            dry_run: false,
        };
        for (answer, exit) in [(Answer::Nobody, Exit::Usage), (Answer::No, Exit::Failed)] {
            trial.answer(answer);
            assert_eq!(repair::run(caller, &cure).await.unwrap_err().exit, exit);
        }
        let session = Session::load(caller, &Source::LastDeployed).unwrap();
        assert_eq!(status::run(&session).await.unwrap().exit(), Exit::Unhealthy, "a no changes nothing");
        trial.answer(Answer::Yes);
        let cured = repair::run(caller, &cure).await.unwrap();
        let repair::Outcome::Repaired(repaired) = cured else { panic!("it was no dry run") };
        assert_eq!(repaired.exit(), Exit::Done);
        let shown = trial.script.asked.lock().unwrap().pop().expect("a person was asked");
        assert!(shown.starts_with("repair node-3\n") && shown.ends_with("carry this out?"), "{shown}");
        assert_eq!(status::run(&session).await.unwrap().exit(), Exit::Done);

        let mut end = destroy::Request {
            inventory: Source::LastDeployed,
            data: false,
            yes: false,
            cluster: None,
            dry_run: false,
        };
        trial.answer(Answer::No);
        let failure = destroy::run(caller, &end).await.unwrap_err();
        assert_eq!(failure.what, "\"trial\" was not typed");
        assert_eq!(status::run(&session).await.unwrap().exit(), Exit::Done);
        let asked = trial.asked();
        end.yes = true;
        let gone = destroy::run(caller, &end).await.unwrap();
        assert!(matches!(gone, destroy::Outcome::Gone(_)), "{gone:?}");
        assert_eq!(trial.asked(), asked, "it was agreed to beforehand");
        assert!(Session::load(caller, &Source::LastDeployed).is_err(), "it is forgotten");
        agents_end(trial.dir.path()).await;
    });
}

/// As if the operator's own reading had let it through: the host has the last word.
#[test]
fn a_zoo_cfg_that_its_server_would_refuse_stops_the_step_on_its_host() {
    let trial = Trial::new();
    block_on(async {
        deploy::run(&trial.caller, &trial.deploy()).await.unwrap();
        let path = trial.dir.path().join("node-2/current/zoo.cfg");
        let before = std::fs::read_to_string(&path).expect("deploy wrote it");
        let mut session = Session::load(&trial.caller, &trial.source()).unwrap();
        let planted =
            Arc::make_mut(&mut session.desired).members.get_mut(&ServerId(2)).expect("it has three");
        planted.config += "snapCount=10k\n";
        let stopped = session.with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| {
            let mut facts = session.facts(fleet, Depth::Preflight).await;
            let plan = session.plan(&facts, &Goal::Deploy)?;
            session.apply(fleet, &plan, &mut facts, "again".to_owned()).await
        });
        let failure = stopped.await.expect_err("its server would not start");
        let line = before.lines().count();
        for part in
            ["node-2: file", "zoo.cfg", &format!("line {line}: snapCount is \"10k\""), "decimal digits"]
        {
            assert!(failure.what.contains(part), "{part:?} is not in: {failure}");
        }
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), before);
        let session = Session::load(&trial.caller, &trial.source()).unwrap();
        assert_eq!(status::run(&session).await.unwrap().exit(), Exit::Done, "nothing was restarted");
    });
}
