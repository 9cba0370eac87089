//! Questions with a suggestion, answered by options, by a person or by the suggestion.

use crate::cli::Failure;
use crate::cli::terminal::{Page, ask, plain};
use crate::secret::Secret;

/// Answers in a row that are none, after which nobody is there.
const EMPTY_ANSWERS: u8 = 10;

/// One question.
pub(super) struct Question<'a> {
    /// What is asked.
    pub(super) text: &'a str,
    /// The option that answers it.
    pub(super) option: &'static str,
    /// What the empty answer means; where there is nothing, there must be an answer.
    pub(super) suggestion: &'a str,
}

/// Whoever answers.
pub(super) struct Dialog<'a, 'p> {
    pub(super) page: &'a mut Page<'p>,
    /// Whether a person is asked at all.
    pub(super) asks: bool,
    /// Whether options answer: not after what they say was found wrong.
    pub(super) options: bool,
}

impl Dialog<'_, '_> {
    /// The answer; `given` is what an option or an earlier round said.
    ///
    /// # Errors
    ///
    /// When nobody answers.
    pub(super) fn answer(
        &mut self,
        question: &Question<'_>,
        given: Option<&str>,
    ) -> Result<String, Failure> {
        let suggestion = given.unwrap_or(question.suggestion);
        let is_settled = given.is_some() && self.options;
        if is_settled || !self.asks {
            return match suggestion {
                "" => Err(Failure::usage(format!(
                    "{} is needed: nobody is asked.",
                    question.option
                ))),
                answer => Ok(answer.to_owned()),
            };
        }
        let asked = match suggestion {
            "" => format!("  {}: ", question.text),
            suggestion => {
                let suggestion = self.page.faint(&format!("[{}]", plain(suggestion)));
                format!("  {} {suggestion}: ", question.text)
            }
        };
        for _ in 0..EMPTY_ANSWERS {
            let typed = ask::answer(self.page, &asked)?;
            match typed.expose_str().map(str::trim) {
                Some("") if suggestion.is_empty() => {}
                Some("") => return Ok(suggestion.to_owned()),
                Some(answer) => return Ok(answer.to_owned()),
                None => self.page.line("  This is not UTF-8.")?,
            }
        }
        Err(Failure::new(
            "Nothing was answered, and nothing is written.",
        ))
    }

    /// The same, of several words.
    pub(super) fn answers(
        &mut self,
        question: &Question<'_>,
        given: &[String],
    ) -> Result<Vec<String>, Failure> {
        let given = (!given.is_empty()).then(|| given.join(" "));
        let answer = self.answer(question, given.as_deref())?;
        let words = answer.split([' ', ',']).filter(|word| !word.is_empty());
        Ok(words.map(str::to_owned).collect())
    }

    /// A password, which nobody sees; an empty one is nothing.
    pub(super) fn password(&mut self, text: &str) -> Result<Option<Secret>, Failure> {
        let typed = ask::password(self.page, &format!("  {text}: "))?;
        Ok((!typed.is_empty()).then_some(typed))
    }

    /// Yes, unless somebody says no.
    pub(super) fn yes(&mut self, text: &str) -> Result<bool, Failure> {
        let typed = ask::answer(self.page, &format!("  {text} [Y/n]: "))?;
        let typed = typed.expose_str().unwrap_or_default().trim();
        Ok(!typed.starts_with(['n', 'N']))
    }
}
