//! Sentences that lower rooms say in English and that are stored so, with what stands in them: notes and warnings of tasks. Whatever
//! is none of these stays as it is.

use std::{borrow::Cow, collections::HashMap};

use super::{Language, current};

/// In Chinese, for readers of it.
pub(in crate::web) fn stored(text: &str) -> Cow<'_, str> {
    if current() == Language::English {
        return Cow::Borrowed(text);
    }
    let known = SENTENCES.iter().find_map(|(english, chinese)| Some((chinese, values(english, text)?)));
    known.map_or(Cow::Borrowed(text), |(chinese, values)| Cow::Owned(filled(chinese, &values)))
}

/// What stands in the places of a pattern, if the text is one of its.
fn values<'a>(pattern: &'static str, text: &'a str) -> Option<HashMap<&'static str, &'a str>> {
    let mut values = HashMap::new();
    let mut pieces = pattern.split('{');
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut pieces = pieces.filter_map(|piece| piece.split_once('}')).peekable();
    while let Some((name, literal)) = pieces.next() {
        let (value, after) = match pieces.peek() {
            None => (rest.strip_suffix(literal)?, ""),
            Some(_) => rest.split_once(literal)?,
        };
        values.insert(name, value);
        rest = after;
    }
    rest.is_empty().then_some(values)
}

fn filled(pattern: &str, values: &HashMap<&str, &str>) -> String {
    let mut text = String::new();
    for piece in pattern.split('{') {
        match piece.split_once('}') {
            Some((name, literal)) => text.extend([values.get(name).copied().unwrap_or_default(), literal]),
            None => text.push_str(piece),
        }
    }
    text
}

#[rustfmt::skip]
const SENTENCES: &[(&str, &str)] = &[
    ("There is no setup.sh; the container never had a network.", "没有 setup.sh；容器始终没有网络。"),
    ("setup.sh is not executable; it was run with sh.", "setup.sh 不可执行；改用 sh 运行。"),
    ("The source has {files} files, {bytes} bytes.", "源代码有 {files} 个文件，共 {bytes} 字节。"),
    ("Cloned {url} at {commit}", "已克隆 {url}，提交 {commit}"),
    ("Left out of the result: {files}", "未纳入结果：{files}"),
    ("Network cut; interfaces left: {interfaces}.", "网络已切断；剩余接口：{interfaces}。"),
    ("Through the server's proxy the agent reaches {hosts}.", "代理可通过服务器的代理访问 {hosts}。"),
    ("{error}. Asking again in {seconds} s (try {tries} failed).", "{error}。{seconds} 秒后重试（第 {tries} 次失败）。"),
    ("Docker answers again.", "Docker 恢复响应。"),
    ("Docker does not answer; the task goes on once it does.", "Docker 没有响应；恢复后任务继续。"),
    ("The server was restarted; the task goes on in its container.", "服务器已重启；任务在其容器中继续。"),
    ("Docker was restarted; the task goes on in its container.", "Docker 已重启；任务在其容器中继续。"),
    ("{model} reads the patch, round {round} of at most {most}.", "{model} 正在审阅补丁，第 {round} 轮，最多 {most} 轮。"),
    ("{who} asked for {target}, which was refused: {reason}.", "{who} 请求 {target}，被拒绝：{reason}。"),
    ("Out of memory: {what}.", "内存不足：{what}。"),
    ("The older part of the conversation was left out without a summary: {reason}", "对话的较早部分已略去，没有概括：{reason}"),
    ("Cost unknown: no price for {model} in [llm.prices], so limits in dollars cannot hold. Set its `input` and `output` there, in US dollars per million tokens.", "费用未知：[llm.prices] 中没有 {model} 的价格，因此以美元计的上限无法生效。请在那里设置它的 `input` 和 `output`（每百万令牌的美元价格）。"),
    ("Waiting for a free place at {provider}: {used} of {most} in use.", "等待 {provider} 的空位：{most} 个中已用 {used} 个。"),
    ("Logs and steps were removed, as they are after {days} days.", "日志和步骤已按 {days} 天的期限清理。"),
    ("Logs and steps were removed, as [retention] of the server says.", "日志和步骤已按服务器的 [retention] 清理。"),
    ("Docker Engine {version} has known holes ({ids}); update it to 29.5.1 or newer, and do not use `docker cp` with containers of tasks until then.", "Docker Engine {version} 有已知漏洞（{ids}）；请更新到 29.5.1 或更高版本，在此之前不要对任务的容器使用 `docker cp`。"),
    ("runc {version} has known ways out of a container ({ids}); update it to 1.3.6, 1.4.3, 1.5 or newer. A distribution may have mended an older number: its changelog says so.", "runc {version} 有已知的容器逃逸漏洞（{ids}）；请更新到 1.3.6、1.4.3、1.5 或更高版本。发行版可能已在旧版本号中修复，请查看其更新日志。"),
    ("say what is to be done", "请说明要做什么"),
    ("the instruction is longer than 64 KiB; put long material into a file of the repository", "指令超过 64 KiB；请把长材料放进仓库的文件"),
    ("give either a Git URL or an archive, not both", "Git 地址和压缩包只能选一个"),
    ("give a Git URL or upload a zip archive", "请填写 Git 地址或上传 zip 压缩包"),
    ("not a Git URL: write it as https://host/owner/repository", "不是 Git 地址：请写成 https://host/owner/repository"),
    ("only https:// (and http:// to hosts in [source] allow_private_hosts) can be fetched, not {scheme}:", "只能获取 https://（以及 [source] allow_private_hosts 中主机的 http://），不能获取 {scheme}:"),
    ("plain http is not protected on its way; use https://{host}, or add {again} to [source] allow_private_hosts", "http 在传输中没有保护；请使用 https://{host}，或把 {again} 加入 [source] allow_private_hosts"),
    ("{host} is not a public host; to fetch from it add it to [source] allow_private_hosts", "{host} 不是公开的主机；要从它获取，请把它加入 [source] allow_private_hosts"),
    ("{address} is not a public address; to fetch from it add it to [source] allow_private_hosts", "{address} 不是公开的地址；要从它获取，请把它加入 [source] allow_private_hosts"),
    ("the URL is too long", "地址过长"),
    ("not a Git ref: give a branch, a tag or a full commit id", "不是 Git 引用：请填写分支、标签或完整的提交编号"),
    ("not a model name: write PROVIDER/model-id, for example openai/gpt-5 (providers are set in [llm.providers])", "不是模型名：请写成 提供方/模型编号，例如 openai/gpt-5（提供方在 [llm.providers] 中设置）"),
    ("unknown provider {name}; configured are {known}", "未知的提供方 {name}；已配置的有 {known}"),
    ("not an image name: write it like debian:bookworm-slim", "不是镜像名：请写成 debian:bookworm-slim 这样"),
    ("{text} is no host: write example.org, *.example.org or example.org:8443", "{text} 不是主机：请写成 example.org、*.example.org 或 example.org:8443"),
    ("give a name of at most 60 characters, on one line", "请输入不超过 60 个字符的单行名称"),
    ("not an e-mail address", "不是电子邮件地址"),
    ("the comment is longer than 4 KiB; make it shorter", "评语超过 4 KiB；请缩短"),
    ("must be {what}", "必须为 {what}"),
    ("there is no such file", "没有这个文件"),
    ("there is no such file; maybe {path} is meant", "没有这个文件；也许是指 {path}"),
    ("the file is binary and has no lines", "该文件是二进制文件，没有行"),
    ("the file is too large to be shown", "文件过大，无法显示"),
    ("lines count from 1", "行号从 1 开始"),
    ("the range ends before it begins", "范围的结尾在开头之前"),
    ("the file is empty", "文件为空"),
    ("the file has one line", "文件只有一行"),
    ("the file has {lines} lines", "文件有 {lines} 行"),
];

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[tokio::test]
    async fn what_is_known_is_told_in_chinese_and_the_rest_stays() {
        let told = async |text: &'static str| Language::Chinese.during(async { stored(text).into_owned() }).await;
        assert_eq!(told("The source has 8 files, 3369 bytes.").await, "源代码有 8 个文件，共 3369 字节。");
        let failed = "acme is busy. Try later. Asking again in 3 s (try 2 failed).";
        assert_eq!(told(failed).await, "acme is busy. Try later。3 秒后重试（第 2 次失败）。");
        for other in ["The source has 8 files", "", "Something else entirely.", "{files}"] {
            assert_eq!(told(other).await, other);
        }
        assert_eq!(stored("the file is empty"), "the file is empty");
    }

    /// A sentence that is said in other words from now on is found here.
    #[test]
    fn each_sentence_is_still_said() {
        let mut said = String::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                match path.is_dir() {
                    true if path.ends_with("src/web/language") => {}
                    true => folders.push(path),
                    false => said.push_str(&fs::read_to_string(&path).unwrap_or_default()),
                }
            }
        }
        let mut joined = String::new();
        for line in said.split("\\\n") {
            joined.push_str(line.trim_start());
        }
        for (english, chinese) in SENTENCES {
            let literals = english.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, literal)| literal));
            // Shorter ones stand anywhere.
            for literal in literals.filter(|literal| literal.len() > 6) {
                assert!(joined.contains(literal) || is_put_together(literal), "nobody says {literal:?}");
            }
            for name in english.split('{').filter_map(|piece| Some(piece.split_once('}')?.0)) {
                assert!(chinese.contains(&format!("{{{name}}}")), "{name} of {english:?}");
            }
        }
    }

    /// Its halves stand in two places.
    fn is_put_together(literal: &str) -> bool {
        literal.ends_with("; the task goes on in its container.") || literal.starts_with("give a name of at most 60")
    }
}
