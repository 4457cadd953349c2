/* Written for this purpose: prose, explanation, code, JSON, arithmetic, dialogue, two languages. */
#include "cli/compare_texts.h"

#include "base/compiler.h"

const char *const hn_compare_texts[] = {
    "The harbour wakes before the town does. By five o'clock the first boats are already tying up, "
    "and the gulls that slept on the warehouse roofs have moved down to the quay, where a man in "
    "yellow oilskins is sorting crates of mackerel by size. Nobody hurries. The tide will turn at "
    "nine, the lorries will come at ten, and until then there is coffee in the office and the "
    "radio "
    "reading out the weather for the islands.",

    "Photosynthesis is the process by which green plants, algae and some bacteria turn light into "
    "chemical energy. In the light-dependent reactions, which take place in the thylakoid "
    "membranes "
    "of the chloroplast, water is split and oxygen is released, while energy is stored in ATP and "
    "NADPH. The Calvin cycle then uses that energy to fix carbon dioxide from the air into sugars.",

    "def moving_average(values, width):\n"
    "    \"\"\"The mean of every window of `width` neighbouring values.\"\"\"\n"
    "    if width < 1 or width > len(values):\n"
    "        raise ValueError(\"width must be between 1 and len(values)\")\n"
    "    total = sum(values[:width])\n"
    "    result = [total / width]\n"
    "    for i in range(width, len(values)):\n"
    "        total += values[i] - values[i - width]\n"
    "        result.append(total / width)\n"
    "    return result\n",

    "{\n"
    "  \"order\": 10482,\n"
    "  \"customer\": {\"name\": \"Ana Ribeiro\", \"city\": \"Porto\"},\n"
    "  \"items\": [\n"
    "    {\"sku\": \"LMP-220\", \"name\": \"desk lamp\", \"quantity\": 2, \"price\": 34.5},\n"
    "    {\"sku\": \"BLB-009\", \"name\": \"LED bulb\", \"quantity\": 4, \"price\": 3.25}\n"
    "  ],\n"
    "  \"total\": 82.0,\n"
    "  \"paid\": true\n"
    "}\n",

    "Question: A train leaves at 14:20 and travels 210 kilometres at an average speed of 84 "
    "kilometres per hour. When does it arrive?\n"
    "Answer: The journey takes 210 / 84 = 2.5 hours, that is two hours and thirty minutes. The "
    "train arrives at 16:50.",

    "\"You said you'd be here at six,\" she said.\n"
    "\"I was. I went round to the other door.\"\n"
    "\"There is no other door.\"\n"
    "He thought about that for a moment. \"That would explain the dog,\" he said.",

    "Die Donau entspringt im Schwarzwald und mündet nach rund 2.850 Kilometern ins Schwarze Meer. "
    "Auf ihrem Weg fließt sie durch zehn Länder, mehr als jeder andere Fluss der Erde, und an vier "
    "Hauptstädten vorbei: Wien, Bratislava, Budapest und Belgrad.",
};
const size_t hn_n_compare_texts = HN_COUNT(hn_compare_texts);

const char *const hn_compare_prompts[] = {
    "Explain in two sentences why the sky is blue.",
    "Write a JSON object with the keys name, city and year for the Eiffel Tower.",
    "List three things to pack for a rainy weekend in the mountains.",
    "What is 17 times 6? Show the steps.",
};
const size_t hn_n_compare_prompts = HN_COUNT(hn_compare_prompts);
