//! What becomes of an answer.

use super::Script;
use crate::operator::operate::ask::{Answer, Question, agreed};
use crate::operator::plan::step::Plan;

#[track_caller]
fn check(question: Question<'_>, answer: Answer, expected: Option<(u8, &str, &[&str])>) {
    let script = Script::of([answer]);
    let ended = agreed(&*script, &question).err();
    let said = ended.as_ref().map(|failure| (failure.exit as u8, failure.what.clone(), failure.next.clone()));
    let expected = expected.map(|(exit, what, next)| {
        (exit, what.to_owned(), next.iter().map(|line| (*line).to_owned()).collect())
    });
    assert_eq!(said, expected);
    assert!(ended.is_none_or(|failure| failure.state == ["nothing was changed"]));
    assert_eq!(script.asked(), [question.to_string()]);
}

#[test]
fn only_a_yes_goes_on_and_everything_else_says_why_not() {
    let plan = &Plan::default();
    let carry_out = || Question::CarryOut { plan };
    let destroy = |data| Question::Destroy { plan, cluster: "orders", data };
    for question in [carry_out(), destroy(false), destroy(true)] {
        check(question, Answer::Yes, None);
    }
    check(carry_out(), Answer::No, Some((1, "not confirmed", &[])));
    check(destroy(false), Answer::No, Some((1, "\"orders\" was not typed", &[])));
    let beforehand: &[&str] = &["say yes beforehand: --yes"];
    check(carry_out(), Answer::Nobody, Some((2, "there is nobody to ask: carry this out?", beforehand)));
    let with_data = "there is nobody to ask: type orders to destroy it WITH ITS DATA";
    // What cannot be taken back is agreed to by name, not by habit.
    check(destroy(true), Answer::Nobody, Some((2, with_data, &["say yes beforehand: --cluster orders"])));
    let stop = Question::StopAll { plan, cluster: "orders" };
    let all = "there is nobody to ask: stop all of orders? Nobody is served until it is started again";
    check(stop.clone(), Answer::Nobody, Some((2, all, &["say yes beforehand: --all"])));
    check(stop, Answer::No, Some((1, "not confirmed", &[])));
    let without = "there is nobody to ask: type orders to destroy it (data stays)";
    check(destroy(false), Answer::Nobody, Some((2, without, beforehand)));
}
