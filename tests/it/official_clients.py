"""Drives the model server with a provider's own client: official_clients.py CLIENT URL."""

import sys

TOOL = {
    "name": "read_file",
    "description": "Reads a file.",
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
}


def openai(url):
    import openai

    client = openai.OpenAI(base_url=url + "/v1", api_key="sk-test", max_retries=0)
    ask = lambda messages: client.chat.completions.create(
        model="gpt-5", max_completion_tokens=100, messages=messages, tools=[{"type": "function", "function": TOOL}]
    )
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What does a.txt say?"}]
    first = ask(messages)
    message = first.choices[0].message
    call = message.tool_calls[0]
    assert first.choices[0].finish_reason == "tool_calls" and message.content == "Let me look.", first
    assert (call.function.name, call.function.arguments) == ("read_file", '{"path":"a.txt"}'), call
    usage = first.usage
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens) == (100, 60, 20), usage
    messages.append(message)
    try:
        ask(messages + [{"role": "user", "content": "well?"}])
        raise AssertionError("a call without a result was accepted")
    except openai.BadRequestError as error:
        assert "did not have response messages" in error.message, error
    second = ask(messages + [{"role": "tool", "tool_call_id": call.id, "content": "hello"}])
    assert second.choices[0].message.content == "It says hello.", second
    try:
        ask(messages[:2])
        raise AssertionError("429 was not seen")
    except openai.RateLimitError as error:
        assert error.response.headers["retry-after"] == "7" and "slow down" in error.message, error
    assert ask(messages[:2]).choices[0].finish_reason == "length"
    with client.chat.completions.stream(
        model="gpt-5",
        messages=messages[:2],
        tools=[{"type": "function", "function": TOOL}],
        stream_options={"include_usage": True},
    ) as stream:
        streamed = stream.get_final_completion()
    message = streamed.choices[0].message
    call = message.tool_calls[0].function
    assert (message.content, call.name, call.arguments) == ("Let me look.", "read_file", '{"path":"a.txt"}'), streamed
    assert (streamed.usage.prompt_tokens, streamed.usage.completion_tokens) == (100, 20), streamed


def responses(url):
    import openai

    client = openai.OpenAI(base_url=url + "/v1", api_key="sk-test", max_retries=0)
    tool = {"type": "function", "strict": False, **TOOL}
    common = {"model": "gpt-5", "max_output_tokens": 100, "tools": [tool], "store": False}
    ask = lambda items: client.responses.create(input=items, **common)
    items = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What does a.txt say?"}]
    first = ask(items)
    call = first.output[1]
    assert first.status == "completed" and first.output_text == "Let me look.", first
    assert (call.name, call.arguments) == ("read_file", '{"path":"a.txt"}'), call
    usage = first.usage
    assert (usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens) == (100, 60, 20), usage
    spoken = [item.model_dump(exclude_none=True) for item in first.output]
    try:
        ask(items + spoken)
        raise AssertionError("a call without a result was accepted")
    except openai.BadRequestError as error:
        assert "No tool output found" in error.message, error
    second = ask(items + spoken + [{"type": "function_call_output", "call_id": call.call_id, "output": "hello"}])
    assert second.output_text == "It says hello.", second
    try:
        ask(items)
        raise AssertionError("429 was not seen")
    except openai.RateLimitError as error:
        assert error.response.headers["retry-after"] == "7" and "slow down" in error.message, error
    cut = ask(items)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens"), cut
    with client.responses.stream(input=items, **common) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        streamed = stream.get_final_response()
    assert "".join(deltas) == streamed.output_text == "Let me look.", streamed
    assert (streamed.output[1].arguments, streamed.usage.output_tokens) == ('{"path":"a.txt"}', 20), streamed


def anthropic(url):
    import anthropic

    client = anthropic.Anthropic(base_url=url, api_key="sk-ant-test", max_retries=0)
    tool = {"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["parameters"]}
    ask = lambda messages: client.messages.create(
        model="claude", max_tokens=100, system="Be brief.", messages=messages, tools=[tool]
    )
    messages = [{"role": "user", "content": "What does a.txt say?"}]
    first = ask(messages)
    text, use = first.content
    assert first.stop_reason == "tool_use" and text.text == "Let me look.", first
    assert (use.name, use.input) == ("read_file", {"path": "a.txt"}), use
    usage = first.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (40, 60, 20), usage
    messages.append({"role": "assistant", "content": [text.model_dump(exclude_none=True), use.model_dump(exclude_none=True)]})
    try:
        ask(messages + [{"role": "user", "content": "well?"}])
        raise AssertionError("a use without a result was accepted")
    except anthropic.BadRequestError as error:
        assert error.body["error"]["type"] == "invalid_request_error" and "tool_result" in str(error), error
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "hello"}
    second = ask(messages + [{"role": "user", "content": [result]}])
    assert second.content[0].text == "It says hello." and second.stop_reason == "end_turn", second
    try:
        ask(messages[:1])
        raise AssertionError("429 was not seen")
    except anthropic.RateLimitError as error:
        assert error.response.headers["retry-after"] == "7" and "slow down" in str(error), error
    assert ask(messages[:1]).stop_reason == "max_tokens"
    with client.messages.stream(model="claude", max_tokens=100, messages=messages[:1], tools=[tool]) as stream:
        streamed = stream.get_final_message()
    text, use = streamed.content
    assert (text.text, use.name, use.input) == ("Let me look.", "read_file", {"path": "a.txt"}), streamed
    assert (streamed.usage.output_tokens, streamed.stop_reason) == (20, "tool_use"), streamed


def ollama(url):
    import ollama

    client = ollama.Client(host=url)
    ask = lambda messages: client.chat(model="qwen3", messages=messages, tools=[{"type": "function", "function": TOOL}])
    messages = [{"role": "user", "content": "What does a.txt say?"}]
    first = ask(messages)
    call = first.message.tool_calls[0].function
    assert (call.name, dict(call.arguments)) == ("read_file", {"path": "a.txt"}), call
    assert (first.prompt_eval_count, first.eval_count, first.done_reason) == (100, 20, "stop"), first
    messages.append(first.message)
    second = ask(messages + [{"role": "tool", "content": "hello", "tool_name": "read_file"}])
    assert second.message.content == "It says hello.", second
    try:
        ask(messages[:1])
        raise AssertionError("429 was not seen")
    except ollama.ResponseError as error:
        assert (error.status_code, error.error) == (429, "slow down"), error
    assert ask(messages[:1]).done_reason == "length"
    lines = list(client.chat(model="qwen3", messages=messages[:1], stream=True))
    calls = [call.function for line in lines for call in line.message.tool_calls or []]
    assert "".join(line.message.content for line in lines) == "Let me look.", lines
    assert [(call.name, dict(call.arguments)) for call in calls] == [("read_file", {"path": "a.txt"})], calls
    assert (lines[-1].done, lines[-1].eval_count) == (True, 20), lines


{"openai": openai, "responses": responses, "anthropic": anthropic, "ollama": ollama}[sys.argv[1]](sys.argv[2])
print("understood")
