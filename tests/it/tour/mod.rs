//! Every page of a real server with real tasks, seen in both themes, at two widths and in both languages: by axe-core, which
//! knows what keeps people out, and by the camera.

mod axe;
mod camera;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Atelier, Browser, Settings, Zip, leap_year};

struct Tour {
    atelier: Atelier,
    stops: Vec<Stop>,
    _plays: TempDir,
}

/// A page, by a name of its own.
struct Stop {
    name: &'static str,
    address: String,
}

/// How a page is seen.
#[derive(Debug, Clone, Copy)]
struct Look {
    theme: &'static str,
    width: u32,
    language: &'static str,
}

impl Look {
    const WIDE: u32 = 1280;
    const NARROW: u32 = 390;
}

/// What the model of a task says and does; a task of each state comes of them.
const PLAYS: [(&str, &str); 2] = [
    (
        "renames",
        r#"{"steps": [
            {"text": "I look at what is there.", "tool_calls": [
                {"name": "list_files", "arguments": {}},
                {"name": "read_file", "arguments": {"file_path": "src/orders/total.py"}}]},
            {"text": "The total is rounded per line. It has to be rounded once, at the end.", "tool_calls": [
                {"name": "run_command", "arguments": {"command": "sed -i 's/round(line.price \\* line.amount, 2)/line.price * line.amount/; s/return total$/return round(total, 2)/' src/orders/total.py && git mv docs/rounding.md docs/totals.md 2>/dev/null || mv docs/rounding.md docs/totals.md; echo '舍入只在最后进行一次。' >> docs/totals.md; seq -f 'case %g' 1 700 > tests/cases.txt; rm old.cfg; echo iVBORw0KGgoAAAANSUhEUgAAABAAAAAICAIAAAB/FOjAAAAAEklEQVR4nGNgYDhBIhrVQAMNADH8ZAGVW411AAAAAElFTkSuQmCC | base64 -d > logo.png"}}]},
            {"text": "", "tool_calls": [{"name": "run_command", "arguments": {"command": "python3 -c 'import sys; sys.exit(\"one test failed: totals differ\")'"}}]},
            {"text": "Totals were rounded **per line**, so a hundred lines could be a cent off.\n\n- `src/orders/total.py:5` now rounds once, at the end.\n- `docs/totals.md` says so, in both languages.\n\nNothing else was touched."}]}"#,
    ),
    (
        "waits",
        r#"{"steps": [
            {"text": "I start the long test first.", "tool_calls": [{"name": "run_command", "arguments": {"command": "echo started; sleep 500", "timeout": 550}}]},
            {"text": "Done."}]}"#,
    ),
];

const TOTAL: &str = "from decimal import Decimal\n\n\ndef total(lines):\n    total = sum(round(line.price * line.amount, 2) for line in lines)\n    return total\n";

impl Tour {
    async fn prepare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, play) in PLAYS {
            std::fs::write(folder.path().join(format!("{name}.json")), play).unwrap();
        }
        let settings = Settings::new()
            .set("llm.providers.plays.kind", "scripted")
            .set("llm.providers.plays.scripts", folder.path().display().to_string())
            .set("agent.model", "scripted/leap-year")
            .set("queue.max_running", 1);
        let atelier = Atelier::start_with(settings).await;
        let small = || {
            Zip::new()
                .file("src/orders/total.py", TOTAL)
                .file("docs/rounding.md", &"Every line is rounded by itself.\n".repeat(8))
                .file("old.cfg", "a = 1\n")
                .file("tests/.keep", "")
        };
        let broken = Zip::new().executable("setup.sh", "#!/bin/sh\necho 'No such package: leftpad' >&2\nexit 3\n");
        let submit =
            async |zip: Zip, task: &str, more: &[(&str, &str)]| Box::pin(atelier.submit_zip(zip, task, more)).await.id;
        let mended = submit(Zip::new().folder(&leap_year()), "Mend the tests of the calendar.", &[]).await;
        let changed = "Round totals once, at the end\n\nA hundred lines of 0.005 are a cent off. 请同时更新文档。";
        let changed = submit(small(), changed, &[("model", "plays/renames")]).await;
        let failed = submit(broken, "Say why the build is slow.", &[("mode", "analyze")]).await;
        for id in [&mended, &changed, &failed] {
            atelier.task(id).ended().await;
        }
        let remark = json!({ "path": "src/orders/total.py", "side": "new", "line": 5, "text": "Say in a comment why it is not rounded here.\n这里为什么不舍入？" });
        let kept = atelier.post_json(&format!("/api/tasks/{changed}/remarks"), &remark).await;
        assert_eq!(kept.status(), 201);
        let running = submit(small(), "Find out why the long test hangs.", &[("model", "plays/waits")]).await;
        let cancelled = submit(small(), "Not this one.", &[]).await;
        atelier.task(&cancelled).cancel().await;
        let waiting = submit(small(), "给日历加上闰年的测试,并说明原因。", &[]).await;
        let shared = atelier.post_json(&format!("/api/tasks/{changed}/shares"), &json!({})).await;
        let shared: Value = shared.json().await.unwrap();
        let shared = url::Url::parse(shared["url"].as_str().unwrap()).unwrap().path().to_owned();
        let invite = atelier.request(Method::POST, "/people/invites").header("accept", "text/html");
        let invite = invite.header("content-type", "application/x-www-form-urlencoded");
        let invite = invite.body("name=Anna&email=anna%40example.org").send().await.unwrap();
        let invite = invite.text().await.unwrap();
        let at = invite.find("/invite/").unwrap();
        let invite: String = invite[at..].chars().take_while(|c| !matches!(c, '<' | '"')).collect();
        atelier.task(&running).wait_until("a command", |task| task["steps"] == 1).await;

        let stops = [
            ("list", "/".to_owned()),
            ("nothing-found", "/?find=nothing+has+these+words".to_owned()),
            ("new", "/new".to_owned()),
            ("completed", format!("/tasks/{mended}")),
            ("completed-many-files", format!("/tasks/{changed}")),
            ("failed", format!("/tasks/{failed}")),
            ("cancelled", format!("/tasks/{cancelled}")),
            ("running", format!("/tasks/{running}")),
            ("waiting", format!("/tasks/{waiting}")),
            ("diff", format!("/tasks/{changed}/diff?view=unified")),
            ("diff-split", format!("/tasks/{changed}/diff?view=split")),
            ("diff-file", format!("/tasks/{changed}/diff/files/5")),
            ("remarks", format!("/tasks/{changed}/remarks?path=src/orders/total.py&line=L6")),
            ("log", format!("/tasks/{mended}/logs/setup.log")),
            ("source", format!("/tasks/{changed}/source/src/orders/total.py?lines=5")),
            ("share", format!("/tasks/{mended}/share")),
            ("settings", "/settings".to_owned()),
            ("people", "/people".to_owned()),
            ("account", "/account".to_owned()),
            ("login", "/login".to_owned()),
            ("invite", invite),
            ("not-found", "/no/such/page".to_owned()),
            ("shared", shared.clone()),
            ("shared-diff", format!("{shared}/diff")),
            ("shared-log", format!("{shared}/log/agent.log")),
            ("shared-nothing", "/s/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ];
        let stops = stops.map(|(name, address)| Stop { name, address }).into();
        Self { atelier, stops, _plays: folder }
    }

    /// A browser of the owner.
    async fn browser(&self) -> Browser {
        let browser = Browser::open().await;
        browser.page.goto(&self.atelier.login_link("/account")).await.unwrap();
        browser
    }

    async fn wear(&self, browser: &Browser, look: Look) {
        for (name, value) in [("atelier_theme", look.theme), ("atelier_language", look.language)] {
            let cookie = json!({ "name": name, "value": value, "url": self.atelier.url("/") });
            browser.devtools("Network.setCookie", cookie).await;
        }
        let size = json!({ "width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }
}
