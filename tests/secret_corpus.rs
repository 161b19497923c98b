//! Secrets in texts as they stand in real work, written by hand after the documentation of each
//! provider and not from the table of forms. The figure is in `docs/secrets.md`.
//!
//! Every `|` is removed from the texts: with it, no scanner finds a secret in this file.

use ccsync::rewrite::TextKind;
use ccsync::secrets::Scanner;

/// Texts; the secrets are between `«` and `»`.
const TEXTS: &[(&str, &str)] = &[
    // .env
    (
        "env",
        "ANTHROPIC_API_KEY=«sk-|ant-api03-R2d7kQ9_vLx0TzWnB4hYc8MfJpE1sGu6AaDoXiKq5NrVtPw3ZbCjHyUeSgFlOmI7-9QvTx2LwA_dKcPzJgAA»\n",
    ),
    (
        "env",
        "OPENAI_API_KEY=«sk-|proj-9fKw2LmVx7Qa_TzB3nYhR8cJ4pGs1UdEoXiAvN6tKq5rWbMyH0jZlCgPeSfDuIOT3BlbkFJh2Vx8LqT»",
    ),
    (
        "env",
        "export GITHUB_TOKEN=\"«ghp|_t7Kq2LmVx9QaTzB3nYhR8cJ4pGs1UdEoXiAv»\"\n",
    ),
    (
        "env",
        "STRIPE_SECRET_KEY=«sk|_live_51Hq8vLKj2mXw9TzB3nYhR8cJ4pGs1UdEoXiAvN6tKq5rWbMyH0jZ»\n",
    ),
    (
        "env",
        "SENDGRID_API_KEY='«SG|.q7Kx2LmVx9QaTzB3nYhR8c.J4pGs1UdEoXiAvN6tKq5rWbMyH0jZlCgPeSfDuIOabc»'\n",
    ),
    (
        "env",
        "SLACK_BOT_TOKEN=«xox|b-2847561930471-5739201847562-kR8vTz2LmXq9WnB4hYc7JpEs»\n",
    ),
    (
        "env",
        "TWILIO_AUTH_TOKEN=«9b2f7c41d8e06a35|f1c4827be90d6a53»\n",
    ),
    (
        "env",
        "MAILGUN_API_KEY=«key|-3ax6xnjp29jd6fds4gc373sgvjxteol0»\n",
    ),
    ("env", "DB_PASSWORD=«Tr0ub4dor&3xK9»\n"),
    (
        "env",
        "SECRET_KEY_BASE=«8f3b1c9d2e7a4560b1c8d9e2f7a34560|b1c8d9e2f7a34560b1c8d9e2f7a34560b1c8d9e2f7a34560b1c8d9e2»\n",
    ),
    ("env", "HF_TOKEN=«hf|_QvTxLwAdKcPzJgRmNbYhEsUoXiKqGtWfCl»\n"),
    // curl
    (
        "curl",
        "curl https:/|/api.anthropic.com/v1/messages -H \"x-api-key: «sk-|ant-api03-Zx8vLq2mKw9TnB4hYcR7JpEs1GuAaDoXiKq5NrVtPw3ZbCjHyUeSgFlOmI79QvTx2LwAdKcPzJgM4uQxYtHnBrEkAA»\" -d @x.json",
    ),
    (
        "curl",
        "curl -H 'Authorization: Bearer «glpat|-K7xq9LmVz2QaTzB3nYhR»' https:/|/gitlab.com/api/v4/projects",
    ),
    (
        "curl",
        "curl -u admin:«hunter2Xy9!kQ» https:/|/ci.example.net/job/build",
    ),
    (
        "curl",
        "curl -X POST -H 'Content-type: application/json' --data '{\"text\":\"x\"}' https:/|/hooks.slack.com/«services|/T02AB3CD4/B05EF6GH7/kR8vTz2LmXq9WnB4hYc7JpEs»",
    ),
    (
        "curl",
        "curl https:/|/api.openai.com/v1/models -H \"Authorization: Bearer «sk-|svcacct-9fKw2LmVx7QaTzB3nYhR8cJ4pGs1UdEoXiAvN6tKq5rWbMyH0jZlCgPeSfDuIOT3BlbkFJ»\"",
    ),
    (
        "curl",
        "curl -H 'PRIVATE-TOKEN: «9koXpg98eAheJpvBs5tK»' https:/|/git.example.org/api/v4/user",
    ),
    // docker compose
    (
        "compose",
        "services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: \"«q8Zr!vT2mXw9»\"\n",
    ),
    (
        "compose",
        "      - DATABASE_URL=postgres:/|/app:«n7Kq2LmVx9»@db:5432/app\n",
    ),
    (
        "compose",
        "      - REDIS_URL=redis:/|/:«Vx9QaTzB3nYh»@redis:6379/0\n",
    ),
    (
        "compose",
        "      AWS_SECRET_ACCESS_KEY: «kQ9vLx0TzWnB4hYc8MfJpE1sGu6AaDoXiKq5NrVt»\n",
    ),
    ("compose", "      MYSQL_ROOT_PASSWORD: «gH7kPz2wQx»\n"),
    (
        "compose",
        "      JWT_SECRET: «c2VjcmV0LWtleS0xMjM0NTY3ODkwYWJjZGVm»\n",
    ),
    // kubeconfig and Kubernetes
    (
        "kube",
        "users:\n- name: admin\n  user:\n    token: «eyJhbGciOiJSUzI1NiIsImtpZCI6Ilg3In0|.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50Iiwic3ViIjoiYWRtaW4ifQ.kR8vTz2LmXq9WnB4hYc7JpEsQ1oU6dAiKx3NtVwPbZjGyCeHfSl»\n",
    ),
    ("kube", "    password: «pX7vLq2mKw9T»\n"),
    (
        "kube",
        "stringData:\n  api-token: «dop|_v1_3f9a1c7e5b2d8046f1c7e5b2d80463f9a1c7e5b2d80463f9a1c7e5b2d80463f9»\n",
    ),
    // terraform
    (
        "terraform",
        "provider \"aws\" {\n  access_key = \"«AKIA|2E7QX5LMVT3BNYHR»\"\n  secret_key = \"«kQ9vLx0TzWnB4hYc8MfJpE1sGu6AaDoXiKq5NrVt»\"\n}\n",
    ),
    (
        "terraform",
        "variable \"do_token\" {\n  default = \"«dop|_v1_9a1c7e5b2d80463f9a1c7e5b2d80463f9a1c7e5b2d80463f9a1c7e5b2d80463f»\"\n}\n",
    ),
    (
        "terraform",
        "  token = \"«hvs|.CAESIJlU02LQZq7xKw9TnB4hYcR7JpEs1GuAaDoXiKq5NrVtGh4KHGh2cy5xS1ZtN2c»\"\n",
    ),
    (
        "terraform",
        "  client_secret = \"«Q2x8Q~kR8vTz2LmXq9WnB4hYc7JpEsQ1oU6dA»\"\n",
    ),
    (
        "terraform",
        "  api_token = \"«v1kR8vTz2LmXq9WnB4hYc7JpEsQ1oU6dAiKx3Nt»\" # cloudflare\n",
    ),
    // npm, pip, cargo
    (
        "npmrc",
        "/|/registry.npmjs.org/:_authToken=«npm|_t7Kq2LmVx9QaTzB3nYhR8cJ4pGs1UdEoXiAv»\n",
    ),
    (
        "npmrc",
        "/|/npm.example.org/:_password=«a1I4dlR6MkxtWHE5V25CNGhZYzdKcEVz»\n",
    ),
    (
        "pypirc",
        "[pypi]\nusername = __token__\npassword = «pypi|-AgEIcHlwaS5vcmcCJDk3YjRjM2E4LTdlMmYtNGI1ZC05YzBhLTFkMmUzZjRhNWI2YwACKlszLCJrUjh2VHoyTG1YcTlXbkI0aFljN0pwRXMiXQ»\n",
    ),
    (
        "cargo",
        "[registry]\ntoken = \"«cio|R8vTz2LmXq9WnB4hYc7JpEsQ1oU6dAiK»\"\n",
    ),
    // git remotes
    (
        "git",
        "origin\thttps:/|/al:«ghp|_x9QaTzB3nYhR8cJ4pGs1UdEoXiAvt7Kq2LmV»@github.com/al/app.git (fetch)\n",
    ),
    (
        "git",
        "url = https:/|/oauth2:«glpat|-Vz2QaTzB3nYhRK7xq9Lm»@gitlab.com/acme/app.git\n",
    ),
    (
        "git",
        "https:/|/x-access-token:«ghs|_cJ4pGs1UdEoXiAvt7Kq2LmVx9QaTzB3nYhR8»@github.com/acme/infra",
    ),
    // tool results: logs, code, shells
    (
        "result",
        "+ export AZURE_STORAGE_CONNECTION_STRING='DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=«kR8vTz2LmXq9WnB4hYc7JpEsQ1oU6dAiKx3NtVwPbZjGyCeHfSlMuDrIgFaOkT5x8vLq2mKw9TnB4hYcR7JpEg==»;EndpointSuffix=core.windows.net'\n",
    ),
    (
        "result",
        "  \"private_key_id\": \"x\",\n  \"private_key\": \"-----BEGIN |PRIVATE KEY-----«\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7kR8vTz2LmXq9\\nWnB4hYc7JpEsQ1oU6dAiKx3NtVwPbZjGyCeHfSlMuDrIgFaOkT5x8vLq2mKw9TnB\\n»-----END PRIVATE KEY-----\\n\",\n",
    ),
    (
        "result",
        "const stripe = require('stripe')('«sk|_test_51Hq8vLKj2mXw9TzB3nYhR8cJ4pGs1Ud»');\n",
    ),
    (
        "result",
        "client = boto3.client('s3', aws_access_key_id='«AKIA|W7QX5LMVT3BNYHR2»', aws_secret_access_key='«x0TzWnB4hYc8MfJpE1sGu6AaDoXiKq5NrVtkQ9vL»')\n",
    ),
    (
        "result",
        "firebase: { apiKey: \"«AIza|SyD7kQ9vLx0TzWnB4hYc8MfJpE1sGu6AaDo»\" }\n",
    ),
    (
        "result",
        "TELEGRAM=7283910465:«|AAHkR8vTz2LmXq9WnB4hYc7JpEsQ1oU6dAi»\n",
    ),
    (
        "result",
        "mongodb+srv:/|/app:«Zk8vTq2mXw»@cluster0.ab1cd.mongodb.net/prod\n",
    ),
    (
        "result",
        "age-keygen: «AGE-SECRET-KEY-|1QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN54KHCE»\n",
    ),
    (
        "result",
        "discord: https:/|/discord.com/api/webhooks/«1183920475639201847|/kR8vTz2LmXq9WnB4hYc7JpEsQ1oU6dAiKx3NtVwPbZjGyCeHfSlMuDrIgFaOkT5x8vL»\n",
    ),
    (
        "result",
        "my password is correct-horse-battery «correct-horse-staple-42»\n",
    ),
    ("result", "sshpass -p '«kT9#vLx2Qm»' ssh root@10.0.0.4\n"),
    (
        "result",
        "the key for staging: «4f9a1c7e5b2d8046f1c7e5b2d80463f9»\n",
    ),
];

/// Returns a text with its secrets' places.
fn parse(marked: &str) -> (String, Vec<String>) {
    let marked = marked.replace('|', "");
    let secrets = marked.split('«').skip(1);
    let secrets = secrets.map(|rest| rest.split('»').next().unwrap().to_owned());
    let secrets = secrets.collect();
    (marked.replace(['«', '»'], ""), secrets)
}

/// Returns true if all of the secret is found, and perhaps what belongs to it.
fn is_found(scanner: &Scanner, text: &str, secret: &str, kind: TextKind) -> bool {
    let start = text.find(secret).unwrap();
    let mut at = start;
    for found in scanner.scan(text.as_bytes(), kind) {
        if found.range.start <= at {
            at = at.max(found.range.end);
        }
    }
    at >= start + secret.len()
}

fn as_json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

#[test]
fn secret_corpus_written_by_hand_is_found() {
    let scanner = Scanner::new();
    let (mut found, mut all) = (0, 0);
    let mut missed = Vec::new();
    for (kind, marked) in TEXTS {
        let (text, secrets) = parse(marked);
        let line = serde_json::json!({ "message": { "content": [{ "content": &text }] } });
        let line = serde_json::json!({ "toolUseResult": line.to_string() }).to_string();
        for secret in secrets {
            let twice = as_json(&as_json(&secret));
            all += 2;
            let in_text = is_found(&scanner, &text, &secret, TextKind::Plain);
            let in_line = is_found(&scanner, &line, &twice, TextKind::Json);
            found += usize::from(in_text) + usize::from(in_line);
            if !in_text || !in_line {
                missed.push(format!("{kind} (text {in_text}, JSON {in_line}): {text}"));
            }
        }
    }
    assert!(
        found * 100 >= all * 90,
        "{found} of {all}\n{}",
        missed.join("\n")
    );
}
