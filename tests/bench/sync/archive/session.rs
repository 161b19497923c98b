//! The records of one session, as the client writes them: compact JSON, one object per line.

use chrono::DateTime;
use fastrand::Rng;

use super::random::{base64, log_normal, pick, uuid};
use super::text::{Project, Vocabulary};

/// Maximum characters of a tool's output in the transcript; a longer one has its own
/// file.
const MAX_OUTPUT: usize = 30_000;

/// Writes the next records of one session.
pub(crate) struct Writer<'a> {
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) project: &'a mut Project,
    pub(crate) rng: Rng,
    pub(crate) session: String,
    /// The record that the next one answers.
    pub(crate) parent: Option<String>,
    /// The sub-agent that writes, if it is not the main conversation.
    pub(crate) agent: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) now: i64,
    /// Outputs that have a file of their own: name and text.
    pub(crate) long_outputs: Vec<(String, String)>,
}

impl Writer<'_> {
    /// Writes exactly `count` records.
    pub(crate) fn records(&mut self, count: usize) -> String {
        let mut records = Vec::new();
        while records.len() < count {
            records.extend(self.turn());
        }
        lines(&records[..count])
    }

    /// Writes whole records, at least `bytes` of them.
    pub(crate) fn bytes(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + bytes / 4);
        while text.len() < bytes {
            for record in self.turn() {
                text.push_str(&record);
                text.push('\n');
                if text.len() >= bytes {
                    break;
                }
            }
        }
        text
    }

    /// Writes a question of the user and the records after it.
    fn turn(&mut self) -> Vec<String> {
        let mut records = vec![self.question()];
        if self.rng.f32() < 0.08 {
            records.push(self.picture());
        }
        for _ in 0..self.rng.u8(1..15) {
            if self.rng.f32() < 0.18 {
                records.push(self.thinking());
            }
            if self.rng.f32() < 0.4 {
                records.push(self.answer());
            }
            records.extend(self.tool());
        }
        records.push(self.answer());
        records.push(self.bookkeeping());
        records
    }

    fn question(&mut self) -> String {
        let length = log_normal(&mut self.rng, 220.0, 1.0) as usize;
        let mut text = self.vocabulary.paragraphs(&mut self.rng, length);
        if self.rng.f32() < 0.3 {
            text += &self.project.mention(&mut self.rng);
        }
        if self.rng.f32() < 0.02 {
            text += "\nUse {{HOME}}/config and ${HOME}/.cache in the template.";
        }
        self.record(
            "user",
            &format!(r#"{{"role":"user","content":{}}}"#, json(&text)),
            "",
        )
    }

    fn picture(&mut self) -> String {
        let length = log_normal(&mut self.rng, 40_000.0, 0.8).clamp(8_000.0, 400_000.0) as usize;
        let data = base64(&mut self.rng, length);
        let source = format!(r#"{{"type":"base64","media_type":"image/png","data":"{data}"}}"#);
        let content = format!(
            r#"[{{"type":"text","text":"[Image #1]"}},{{"type":"image","source":{source}}}]"#
        );
        self.record(
            "user",
            &format!(r#"{{"role":"user","content":{content}}}"#),
            "",
        )
    }

    fn thinking(&mut self) -> String {
        let length = log_normal(&mut self.rng, 700.0, 0.8) as usize;
        let text = json(&self.vocabulary.paragraphs(&mut self.rng, length));
        let length = log_normal(&mut self.rng, 350.0, 0.5) as usize;
        let signature = base64(&mut self.rng, length);
        self.says(&format!(
            r#"{{"type":"thinking","thinking":{text},"signature":"{signature}"}}"#
        ))
    }

    fn answer(&mut self) -> String {
        let length = log_normal(&mut self.rng, 380.0, 0.9) as usize;
        let text = json(&self.vocabulary.paragraphs(&mut self.rng, length));
        self.says(&format!(r#"{{"type":"text","text":{text}}}"#))
    }

    /// Writes the use of a tool and its result.
    fn tool(&mut self) -> [String; 2] {
        let id = format!(
            "toolu_01{}",
            base64(&mut self.rng, 22).replace(['+', '/'], "A")
        );
        let (name, input, output, result) = match self.rng.u8(..100) {
            0..40 => self.read(),
            40..62 => self.edit(),
            62..86 => self.shell(&id),
            86..95 => self.search(),
            _ => self.write(),
        };
        let used = self.says(&format!(
            r#"{{"type":"tool_use","id":"{id}","name":"{name}","input":{input}}}"#
        ));
        let output = json(&output);
        let content =
            format!(r#"[{{"tool_use_id":"{id}","type":"tool_result","content":{output}}}]"#);
        let message = format!(r#"{{"role":"user","content":{content}}}"#);
        [
            used,
            self.record("user", &message, &format!(r#","toolUseResult":{result}"#)),
        ]
    }

    fn read(&mut self) -> (&'static str, String, String, String) {
        let file = self.project.file(&mut self.rng);
        let (path, part) = (
            json(&self.project.absolute(file)),
            &file.lines[..file.lines.len().min(500)],
        );
        let (raw, count) = (json(&part.join("\n")), part.len());
        let result = format!(
            r#"{{"type":"text","file":{{"filePath":{path},"content":{raw},"numLines":{count},"startLine":1}}}}"#
        );
        (
            "Read",
            format!(r#"{{"file_path":{path}}}"#),
            numbered(part, 1),
            result,
        )
    }

    fn edit(&mut self) -> (&'static str, String, String, String) {
        let edit = self.project.edit(&mut self.rng, self.vocabulary);
        let (path, old, new) = (
            json(&edit.path),
            json(&edit.old.join("\n")),
            json(&edit.new.join("\n")),
        );
        let shown: Vec<String> = edit.before.iter().chain(&edit.new).cloned().collect();
        let first = edit.first_line + 1 - edit.before.len();
        let output = format!(
            "The file {} has been updated.\n{}",
            edit.path,
            numbered(&shown, first)
        );
        let original = edit
            .original
            .map_or_else(|| "null".to_owned(), |text| json(&text));
        let patch: Vec<String> = edit
            .old
            .iter()
            .map(|line| json(&format!("-{line}")))
            .collect();
        let result = format!(
            r#"{{"filePath":{path},"oldString":{old},"newString":{new},"originalFile":{original},"structuredPatch":[{{"oldStart":{},"lines":[{}]}}]}}"#,
            edit.first_line + 1,
            patch.join(",")
        );
        (
            "Edit",
            format!(r#"{{"file_path":{path},"old_string":{old},"new_string":{new}}}"#),
            output,
            result,
        )
    }

    fn shell(&mut self, id: &str) -> (&'static str, String, String, String) {
        let lines = if self.rng.f32() < 0.01 {
            700.0
        } else {
            log_normal(&mut self.rng, 18.0, 1.1).min(2_000.0)
        } as usize;
        let mut output = self.log(lines + 1);
        if output.len() > MAX_OUTPUT {
            let (home, directory) = (self.project.home(), self.project.directory_name());
            let file = format!(
                "{home}/.claude/projects/{directory}/{}/tool-results/{id}.txt",
                self.session
            );
            let preview: String = output.chars().take(2000).collect();
            let notice = format!(
                "<persisted-output>\nFull output saved to: {file}\n\nPreview:\n{preview}\n"
            );
            self.long_outputs
                .push((id.to_owned(), std::mem::replace(&mut output, notice)));
        }
        let command = format!(
            "cd {} && cargo test -p {}",
            self.project.cwd,
            self.project.identifier(&mut self.rng)
        );
        let about = json(self.vocabulary.phrase(&mut self.rng));
        let result = format!(
            r#"{{"stdout":{},"stderr":"","interrupted":false}}"#,
            json(&output)
        );
        (
            "Bash",
            format!(r#"{{"command":{},"description":{about}}}"#, json(&command)),
            output,
            result,
        )
    }

    fn search(&mut self) -> (&'static str, String, String, String) {
        let mut output = String::new();
        for _ in 0..self.rng.u8(1..50) {
            let (path, line) = (
                self.project.mention(&mut self.rng),
                self.project.any_line(&mut self.rng),
            );
            output += &format!("{path}:{line}\n");
        }
        let pattern = json(self.project.identifier(&mut self.rng));
        let input = format!(
            r#"{{"pattern":{pattern},"path":{}}}"#,
            json(&self.project.cwd)
        );
        let result = format!(
            r#"{{"mode":"content","filenames":[],"content":{}}}"#,
            json(&output)
        );
        ("Grep", input, output, result)
    }

    fn write(&mut self) -> (&'static str, String, String, String) {
        let length = self.rng.usize(15..220);
        self.project.add_file(&mut self.rng, length);
        let file = self.project.newest_file();
        let (raw, path) = (json(&file.lines.join("\n")), self.project.absolute(file));
        let (output, path) = (format!("File created successfully at: {path}"), json(&path));
        let result = format!(
            r#"{{"type":"create","filePath":{path},"content":{raw},"structuredPatch":[]}}"#
        );
        (
            "Write",
            format!(r#"{{"file_path":{path},"content":{raw}}}"#),
            output,
            result,
        )
    }

    /// Returns the output of a build or a test run.
    fn log(&mut self, lines: usize) -> String {
        let (project, vocabulary, rng) = (&*self.project, self.vocabulary, &mut self.rng);
        let mut text = String::new();
        for _ in 0..lines {
            let name = project.identifier(rng).to_owned();
            text += &match rng.u8(..100) {
                0..35 => format!("test {name}::{} ... ok\n", project.identifier(rng)),
                35..50 => format!(
                    "   Compiling {name} v0.{}.0 ({}/crates/{name})\n",
                    rng.u8(..30),
                    project.cwd
                ),
                50..62 => format!(
                    "warning: unused variable: `{name}`\n  --> {}\n",
                    project.mention(rng)
                ),
                62..75 => format!(
                    "\u{1b}[32m{}\u{1b}[0m INFO {name}: {}\n",
                    time(self.now),
                    vocabulary.phrase(rng)
                ),
                _ => format!("{}: {}\n", project.mention(rng), project.any_line(rng)),
            };
        }
        text
    }

    /// Writes the client's own state records.
    fn bookkeeping(&mut self) -> String {
        let id = uuid(&mut self.rng);
        match self.rng.u8(..3) {
            0 => {
                let summary = json(self.vocabulary.phrase(&mut self.rng));
                format!(r#"{{"type":"summary","summary":{summary},"leafUuid":"{id}"}}"#)
            }
            1 => {
                let path = json(&self.project.mention(&mut self.rng));
                let backups = format!(
                    r#"{{{path}:{{"backupFileName":"{}@v1","version":1}}}}"#,
                    &id[..16]
                );
                let snapshot = format!(
                    r#"{{"trackedFileBackups":{backups},"timestamp":"{}"}}"#,
                    time(self.now)
                );
                format!(
                    r#"{{"type":"file-history-snapshot","messageId":"{id}","snapshot":{snapshot}}}"#
                )
            }
            _ => self.record(
                "system",
                "null",
                r#","subtype":"turn_duration","isMeta":false"#,
            ),
        }
    }

    /// Writes a message of the model.
    fn says(&mut self, content: &str) -> String {
        let model = *pick(
            &mut self.rng,
            &["claude-sonnet-4-5-20250929", "claude-opus-4-5-20251101"],
        );
        let usage = format!(
            r#"{{"input_tokens":{},"cache_read_input_tokens":{},"output_tokens":{}}}"#,
            self.rng.u8(..),
            self.rng.u32(12_000..160_000),
            self.rng.u16(..1200)
        );
        let id = base64(&mut self.rng, 22).replace(['+', '/'], "B");
        let message = format!(
            r#"{{"model":"{model}","id":"msg_01{id}","type":"message","role":"assistant","content":[{content}],"stop_reason":null,"usage":{usage}}}"#
        );
        self.record(
            "assistant",
            &message,
            &format!(r#","requestId":"req_011{id}""#),
        )
    }

    fn record(&mut self, kind: &str, message: &str, rest: &str) -> String {
        self.now += self.rng.i64(200..12_000);
        let id = uuid(&mut self.rng);
        let parent = self
            .parent
            .replace(id.clone())
            .map_or_else(|| "null".to_owned(), |parent| format!("\"{parent}\""));
        let agent = self
            .agent
            .as_ref()
            .map_or_else(String::new, |agent| format!(r#","agentId":"{agent}""#));
        let (side, cwd, branch) = (
            self.agent.is_some(),
            json(&self.project.cwd),
            json(&self.project.branch),
        );
        let (session, time) = (&self.session, time(self.now));
        format!(
            r#"{{"parentUuid":{parent},"isSidechain":{side},"userType":"external","cwd":{cwd},"sessionId":"{session}","version":"2.1.329","gitBranch":{branch}{agent},"type":"{kind}","message":{message},"uuid":"{id}","timestamp":"{time}"{rest}}}"#
        )
    }
}

fn lines(records: &[String]) -> String {
    records
        .iter()
        .flat_map(|record| [record.as_str(), "\n"])
        .collect()
}

/// Returns the lines as the client shows them to the model.
fn numbered(lines: &[String], first: usize) -> String {
    lines
        .iter()
        .zip(first..)
        .map(|(line, number)| format!("{number:6}→{line}\n"))
        .collect()
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("every text can be a JSON string")
}

fn time(milliseconds: i64) -> String {
    let time = DateTime::from_timestamp_millis(milliseconds).expect("a time in this century");
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
