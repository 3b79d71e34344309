//! The notation of repeated times that schedules use: Quartz's.

/// One field of a pattern.
struct Field {
    name: &'static str,
    from: u32,
    to: u32,
    /// Names of its values, the first for `from`.
    names: &'static [&'static str],
    /// What may stand for a day besides numbers.
    day: Day,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Day {
    No,
    OfMonth,
    OfWeek,
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 7] = [
    Field { name: "second", from: 0, to: 59, names: &[], day: Day::No },
    Field { name: "minute", from: 0, to: 59, names: &[], day: Day::No },
    Field { name: "hour", from: 0, to: 23, names: &[], day: Day::No },
    Field { name: "day of the month", from: 1, to: 31, names: &[], day: Day::OfMonth },
    Field { name: "month", from: 1, to: 12, names: MONTHS, day: Day::No },
    Field { name: "day of the week", from: 1, to: 7, names: DAYS, day: Day::OfWeek },
    Field { name: "year", from: 1970, to: 2199, names: &[], day: Day::No },
];

/// Says what is wrong with a pattern, if anything is.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let texts: Vec<&str> = pattern.split_whitespace().take(FIELDS.len() + 1).collect();
    if !(6..=7).contains(&texts.len()) {
        return Err(
            "a pattern has 6 or 7 fields: second, minute, hour, day of the month, month, day of the week, year".to_owned()
        );
    }
    for (text, field) in texts.iter().zip(&FIELDS) {
        if !text.split(',').all(|item| field.admits(item)) {
            let shown: String = text.chars().take(40).collect();
            let (from, to) = (field.from, field.to);
            return Err(format!("'{shown}' is not a {} between {from} and {to}, nor a range or a step of such", field.name));
        }
    }
    let asks = |at: usize| texts.get(at).is_some_and(|text| *text != "?");
    if !asks(3) && !asks(5) {
        return Err("only one of day of the month and day of the week can be '?'".to_owned());
    }
    Ok(())
}

impl Field {
    fn admits(&self, item: &str) -> bool {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        if !step.is_none_or(|step| step.parse().is_ok_and(|step: u32| (1..=self.to).contains(&step))) {
            return false;
        }
        match range {
            "*" => true,
            "" => step.is_some(),
            _ => {
                self.is_day(range)
                    || match range.split_once('-') {
                        Some((from, to)) => self.value(from).is_some() && self.value(to).is_some(),
                        None => self.value(range).is_some(),
                    }
            }
        }
    }

    fn value(&self, text: &str) -> Option<u32> {
        if let Some(at) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Some(self.from + u32::try_from(at).ok()?);
        }
        let is_number = text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && (self.from..=self.to).contains(number))
    }

    /// `?`; the last, a weekday near a day, some day before the last; the last Friday, the second Monday.
    fn is_day(&self, text: &str) -> bool {
        let text = text.to_ascii_uppercase();
        match self.day {
            Day::No => false,
            Day::OfMonth => {
                matches!(&*text, "?" | "L" | "LW" | "W")
                    || text.strip_suffix('W').is_some_and(|day| self.value(day).is_some())
                    || text.strip_prefix("L-").is_some_and(|before| self.value(before.trim_end_matches('W')).is_some())
            }
            Day::OfWeek => {
                matches!(&*text, "?" | "L")
                    || text.strip_suffix('L').is_some_and(|day| self.value(day).is_some())
                    || text
                        .split_once('#')
                        .is_some_and(|(day, nth)| self.value(day).is_some() && matches!(nth, "1" | "2" | "3" | "4" | "5"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_quartz_are_known() {
        for pattern in [
            "0 0 12 * * ?",
            "0 15 10 ? * MON-FRI",
            "0 0/5 14,18 * * ? 2026-2030",
            "0 15 10 L * ?",
            "0 15 10 L-2 * ?",
            "0 15 10 15W JAN,feb ?",
            "0 15 10 ? * 6L",
            "0 15 10 ? * FRI#3",
            "*/10 * * ? * *",
            "0 /5 * ? * SUN",
        ] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn times_that_do_not_exist_are_refused() {
        for pattern in [
            "",
            "0 2 * * *",
            "0 61 2 * * ?",
            "60 0 2 * * ?",
            "0 0 24 * * ?",
            "0 0 2 32 * ?",
            "0 0 2 ? 13 MON",
            "0 0 2 ? * MOO",
            "0 0 2 ? * 8",
            "0 0 2 ? * ?",
            "0 0 2 ? * MON#6",
            "0 0/0 2 ? * MON",
            "0 1- 2 ? * MON",
            "0 , 2 ? * MON",
            "0 0 2 ? * MON 1969",
            "0 0 2 ? * MON 2026 more",
        ] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }
}
