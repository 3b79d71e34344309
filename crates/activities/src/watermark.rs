//! How far a token may move: past what is settled, and never past something that is not.

use tidelock_connector_api::Token;

/// The steps that a source has taken, oldest first, each a change or a message of several changes, with what of them is not settled
/// yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watermark {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    /// How many of its changes are not settled.
    open: usize,
    /// The token that stands behind it.
    token: Option<Token>,
}

impl Watermark {
    /// The next step of the source, of so many changes that are not settled; and the token behind it, if it has one. Gives its
    /// number, from 0.
    pub(crate) fn add(&mut self, changes: usize, token: Option<Token>) -> usize {
        self.steps.push(Step { open: changes, token });
        self.steps.len() - 1
    }

    /// One change of this step is settled.
    pub(crate) fn settle(&mut self, step: usize) {
        if let Some(step) = self.steps.get_mut(step) {
            step.open = step.open.saturating_sub(1);
        }
    }

    /// Nothing of this step is to be done any longer.
    pub(crate) fn close(&mut self, step: usize) {
        if let Some(step) = self.steps.get_mut(step) {
            step.open = 0;
        }
    }

    /// The tokens behind the steps from this one on.
    pub(crate) fn into_tokens(self, from: usize) -> impl DoubleEndedIterator<Item = Option<Token>> + ExactSizeIterator {
        self.steps.into_iter().skip(from).map(|step| step.token)
    }

    /// How many changes of this step would be open if one change were settled of each of these steps.
    pub(crate) fn open_after(&self, step: usize, settled: &[usize]) -> usize {
        let more = settled.iter().filter(|&&one| one == step).count();
        self.steps.get(step).map_or(0, |step| step.open.saturating_sub(more))
    }

    /// The token to resume from if one change were settled of each of these steps, which are given in their order: that of the last
    /// step before which, and of which, nothing is open. None where the token stays where it is.
    pub(crate) fn reached(&self, settled: &[usize]) -> Option<&Token> {
        let mut settled = settled.iter().peekable();
        let mut reached = None;
        for (number, step) in self.steps.iter().enumerate() {
            let mut open = step.open;
            while settled.next_if(|&&one| one == number).is_some() {
                open = open.saturating_sub(1);
            }
            if open > 0 {
                break;
            }
            reached = step.token.as_ref().or(reached);
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(number: usize) -> Token {
        Token::new(number.to_string().into_bytes())
    }

    /// Steps of some changes, some without a token; and how many changes are settled before, and would be in addition, in order.
    fn stories() -> impl Strategy<Value = (Vec<(usize, bool)>, usize, usize, Vec<usize>)> {
        (
            proptest::collection::vec((0..4usize, any::<bool>()), 0..12),
            0..20usize,
            0..20usize,
            proptest::collection::vec(0..12usize, 0..3),
        )
    }

    proptest! {
        #[test]
        fn the_token_never_passes_an_unsettled_change((steps, before, more, closed) in stories()) {
            let mut watermark = Watermark::default();
            for (number, (changes, has_token)) in steps.iter().enumerate() {
                watermark.add(*changes, has_token.then(|| token(number)));
            }
            let order: Vec<usize> = steps.iter().enumerate().flat_map(|(number, (changes, _))| vec![number; *changes]).collect();
            for step in order.iter().take(before) {
                watermark.settle(*step);
            }
            for step in &closed {
                watermark.close(*step);
            }
            let settled: Vec<usize> = order.iter().skip(before).take(more).copied().collect();

            // Told again without a watermark: what is open, change by change.
            let is_open = |number: usize| {
                let is_settled = |at: usize| at < before + more || closed.contains(&number);
                order.iter().enumerate().any(|(at, step)| *step == number && !is_settled(at))
            };
            let first_open = (0..steps.len()).find(|number| is_open(*number)).unwrap_or(steps.len());
            let expected = (0..first_open).rev().find(|number| steps[*number].1).map(token);
            prop_assert_eq!(watermark.reached(&settled), expected.as_ref());
            for number in 0..steps.len() {
                prop_assert_eq!(watermark.open_after(number, &settled) > 0, is_open(number), "step {}", number);
            }
        }

        #[test]
        fn settling_more_never_takes_the_token_back((steps, before, more, _) in stories()) {
            let mut watermark = Watermark::default();
            for (number, (changes, has_token)) in steps.iter().enumerate() {
                watermark.add(*changes, has_token.then(|| token(number)));
            }
            let order: Vec<usize> = steps.iter().enumerate().flat_map(|(number, (changes, _))| vec![number; *changes]).collect();
            let number = |token: Option<&Token>| token.and_then(|token| std::str::from_utf8(token.as_bytes()).ok()?.parse::<usize>().ok());
            let early = number(watermark.reached(&order[..before.min(order.len())]));
            let late = number(watermark.reached(&order[..(before + more).min(order.len())]));
            prop_assert!(early <= late);
        }
    }

    #[test]
    fn a_source_whose_changes_have_no_tokens_stays_where_it_is() {
        let mut watermark = Watermark::default();
        watermark.add(1, None);
        assert_eq!(watermark.reached(&[0]), None);
    }
}
