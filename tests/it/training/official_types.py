"""Reads lines of training data with the types of OpenAI's own client; complains about the first that does not fit."""

import json
import sys

from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import TypeAdapter

messages = TypeAdapter(list[ChatCompletionMessageParam])
tools = TypeAdapter(list[ChatCompletionToolParam])

for line in sys.stdin:
    example = json.loads(line)
    # Iterables in the types are read lazily: writing them out reads them whole.
    messages.dump_json(messages.validate_python(example["messages"]))
    tools.dump_json(tools.validate_python(example["tools"]))
    for message in example["messages"]:
        for call in message.get("tool_calls", []):
            json.loads(call["function"]["arguments"])
print("understood")
