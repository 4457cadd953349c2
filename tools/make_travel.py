#!/usr/bin/env python3
"""Write the example data of hone: examples/travel/{mode,pois,heldout}.jsonl.

Task records of two kinds.  "travel_mode": which means of transport fits a trip, decided by the rules
in mode_of() from what the context says.  "poi": a point of interest named in a note, as JSON.
Places and landmarks are real; prices, times and distances inside a town are made up, the same on
every run.  The held-out rows use towns and landmarks that occur in neither of the other files.

    python3 tools/make_travel.py [FOLDER]

Needs nothing but Python 3.  The same bytes on every run: random numbers come from the generator
below, not from the random module, whose methods may change between versions.
"""

import json
import math
import sys
from pathlib import Path

# name, latitude, longitude, then (landmark, category) pairs
TOWNS = [
    ("Lisbon", 38.72, -9.14, "Belém Tower|monument", "Carmo Convent|museum", "Estrela Garden|park", "Time Out Market|market"),
    ("Porto", 41.15, -8.61, "Lello Bookshop|shop", "Clérigos Tower|tower", "Crystal Palace Gardens|park", "Bolhão Market|market"),
    ("Madrid", 40.42, -3.70, "Prado Museum|museum", "El Retiro|park", "San Miguel Market|market", "Debod Temple|monument"),
    ("Seville", 37.39, -5.98, "Giralda|tower", "Real Alcázar|palace", "Triana Market|market", "María Luisa Park|park"),
    ("Bilbao", 43.26, -2.93, "Guggenheim Bilbao|museum", "Ribera Market|market", "Artxanda Funicular|viewpoint", "Casilda Park|park"),
    ("Paris", 48.86, 2.35, "Musée d'Orsay|museum", "Jardin du Luxembourg|park", "Sainte-Chapelle|church", "Père Lachaise|cemetery"),
    ("Lyon", 45.76, 4.84, "Fourvière Basilica|church", "Tête d'Or Park|park", "Les Halles Bocuse|market", "Musée des Confluences|museum"),
    ("Marseille", 43.30, 5.37, "Mucem|museum", "Palais Longchamp|palace", "Vieux-Port Fish Market|market", "Château d'If|castle"),
    ("Bordeaux", 44.84, -0.58, "Cité du Vin|museum", "Pey Berland Tower|tower", "Capucins Market|market", "Darwin Skatepark|park"),
    ("London", 51.51, -0.13, "Tate Modern|museum", "Borough Market|market", "Kew Gardens|garden", "Greenwich Observatory|viewpoint"),
    ("Edinburgh", 55.95, -3.19, "Edinburgh Castle|castle", "Arthur's Seat|viewpoint", "Dean Village|quarter", "Surgeons' Hall|museum"),
    ("Dublin", 53.35, -6.26, "Kilmainham Gaol|museum", "Phoenix Park|park", "Marsh's Library|library", "Ha'penny Bridge|bridge"),
    ("Amsterdam", 52.37, 4.90, "Rijksmuseum|museum", "Vondelpark|park", "Albert Cuyp Market|market", "Magere Brug|bridge"),
    ("Ghent", 51.05, 3.72, "Gravensteen|castle", "Saint Bavo's Cathedral|church", "Industriemuseum|museum", "Citadelpark|park"),
    ("Berlin", 52.52, 13.40, "Pergamon Museum|museum", "Tempelhofer Feld|park", "Markthalle Neun|market", "Oberbaumbrücke|bridge"),
    ("Cologne", 50.94, 6.96, "Cologne Cathedral|church", "Museum Ludwig|museum", "Flora Garden|garden", "Hohenzollernbrücke|bridge"),
    ("Munich", 48.14, 11.58, "Deutsches Museum|museum", "Englischer Garten|park", "Viktualienmarkt|market", "Nymphenburg|palace"),
    ("Hamburg", 53.55, 9.99, "Miniatur Wunderland|museum", "Planten un Blomen|garden", "Fischmarkt|market", "Elbphilharmonie Plaza|viewpoint"),
    ("Zürich", 47.38, 8.54, "Kunsthaus Zürich|museum", "Grossmünster|church", "Uetliberg|viewpoint", "Rieterpark|park"),
    ("Bern", 46.95, 7.45, "Zytglogge|tower", "Rosengarten|garden", "Zentrum Paul Klee|museum", "Bundesplatz Market|market"),
    ("Wien", 48.21, 16.37, "Schönbrunn|palace", "Naschmarkt|market", "Albertina|museum", "Augarten|park"),
    ("Salzburg", 47.80, 13.04, "Hohensalzburg|castle", "Mirabell Gardens|garden", "Haus der Natur|museum", "Makartsteg|bridge"),
    ("Praha", 50.08, 14.44, "Karlův most|bridge", "Strahov Library|library", "Petřín Tower|tower", "Vyšehrad|castle"),
    ("Kraków", 50.06, 19.94, "Wawel|castle", "Sukiennice|market", "Rynek Underground|museum", "Planty|park"),
    ("Gdańsk", 54.35, 18.65, "Żuraw|monument", "Museum of Amber|museum", "Oliwa Park|park", "Hala Targowa|market"),
    ("Wrocław", 51.11, 17.04, "Hala Stulecia|monument", "Panorama Racławicka|museum", "Ostrów Tumski|quarter", "Hydropolis|museum"),
    ("Budapest", 47.50, 19.04, "Széchenyi Baths|baths", "Great Market Hall|market", "Fisherman's Bastion|viewpoint", "Margaret Island|park"),
    ("Ljubljana", 46.06, 14.51, "Dragon Bridge|bridge", "Tivoli Park|park", "Ljubljana Castle|castle", "Metelkova|quarter"),
    ("Zagreb", 45.81, 15.98, "Museum of Broken Relationships|museum", "Dolac Market|market", "Maksimir Park|park", "Lotrščak Tower|tower"),
    ("Beograd", 44.79, 20.45, "Kalemegdan|castle", "Nikola Tesla Museum|museum", "Zeleni Venac|market", "Ada Ciganlija|park"),
    ("București", 44.43, 26.10, "Ateneul Român|concert hall", "Village Museum|museum", "Cișmigiu|park", "Obor Market|market"),
    ("Sofia", 42.70, 23.32, "Boyana Church|church", "Borisova Gradina|park", "Women's Market|market", "Ivan Vazov Theatre|theatre"),
    ("Αθήνα", 37.98, 23.73, "Acropolis Museum|museum", "Lycabettus|viewpoint", "Varvakios Market|market", "National Garden of Athens|garden"),
    ("Thessaloniki", 40.64, 22.94, "White Tower|tower", "Rotunda of Galerius|monument", "Modiano Market|market", "Seich Sou|park"),
    ("İstanbul", 41.01, 28.98, "Basilica Cistern|monument", "Gülhane Park|park", "Grand Bazaar|market", "Galata Kulesi|tower"),
    ("Roma", 41.90, 12.50, "Galleria Borghese|museum", "Testaccio Market|market", "Pantheon|monument", "Orange Garden|garden"),
    ("Firenze", 43.77, 11.26, "Uffizi|museum", "Boboli Gardens|garden", "Mercato Centrale|market", "Ponte Vecchio|bridge"),
    ("Milano", 45.46, 9.19, "Pinacoteca di Brera|museum", "Sforza Castle|castle", "Parco Sempione|park", "Navigli|quarter"),
    ("Napoli", 40.85, 14.27, "Cappella Sansevero|church", "Castel dell'Ovo|castle", "Pignasecca Market|market", "Capodimonte|museum"),
    ("Torino", 45.07, 7.69, "Mole Antonelliana|tower", "Museo Egizio|museum", "Valentino Park|park", "Porta Palazzo|market"),
    ("Copenhagen", 55.68, 12.57, "Tivoli Gardens|park", "Rosenborg|castle", "Torvehallerne|market", "Ny Carlsberg Glyptotek|museum"),
    ("Oslo", 59.91, 10.75, "Munch Museum|museum", "Vigeland Park|park", "Mathallen|market", "Akershus|castle"),
    ("Bergen", 60.39, 5.32, "Bryggen|quarter", "Fløyen|viewpoint", "KODE 2|museum", "Fish Market Torget|market"),
    ("Stockholm", 59.33, 18.07, "Vasa Museum|museum", "Skansen|park", "Östermalm Hall|market", "Drottningholm|palace"),
    ("Helsinki", 60.17, 24.94, "Oodi|library", "Suomenlinna|castle", "Hakaniemi Hall|market", "Ateneum|museum"),
    ("Tallinn", 59.44, 24.75, "Kadriorg Palace|palace", "Balti Jaam Market|market", "Kumu|museum", "Toompea Lookout|viewpoint"),
    ("Rīga", 56.95, 24.11, "Riga Central Market|market", "Art Nouveau Museum|museum", "Bastejkalns|park", "Saint Peter's Spire|tower"),
    ("Reykjavík", 64.15, -21.94, "Hallgrímskirkja|church", "Perlan|museum", "Nauthólsvík|beach", "Kolaportið|market"),
    ("東京", 35.68, 139.69, "Sensō-ji|temple", "Ueno Park|park", "Tsukiji Outer Market|market", "Nezu Museum|museum"),
    ("京都", 35.01, 135.77, "Kinkaku-ji|temple", "Nishiki Market|market", "Nijō Castle|castle", "Maruyama Park|park"),
    ("Osaka", 34.69, 135.50, "Shitennō-ji|temple", "Kuromon Market|market", "Nakanoshima Park|park", "Umeda Sky|viewpoint"),
    ("서울", 37.57, 126.98, "Gyeongbokgung|palace", "Gwangjang Market|market", "Namsan Tower|tower", "Leeum|museum"),
    ("Hà Nội", 21.03, 105.85, "Temple of Literature|temple", "Đồng Xuân|market", "Long Biên Bridge|bridge", "Thống Nhất Park|park"),
    ("Delhi", 28.61, 77.21, "Humayun's Tomb|monument", "Lodhi Garden|garden", "Dilli Haat|market", "National Rail Museum|museum"),
    ("São Paulo", -23.55, -46.63, "MASP|museum", "Ibirapuera|park", "Mercadão|market", "Farol Santander|viewpoint"),
    ("Buenos Aires", -34.60, -58.38, "Teatro Colón|theatre", "Malba|museum", "San Telmo Market|market", "Rosedal|garden"),
    ("Bogotá", 4.71, -74.07, "Museo del Oro|museum", "Monserrate|viewpoint", "Paloquemao|market", "Simón Bolívar Park|park"),
    ("México", 19.43, -99.13, "Casa Azul|museum", "Chapultepec|park", "Mercado de Jamaica|market", "Palacio de Bellas Artes|theatre"),
    ("Montréal", 45.50, -73.57, "Biodôme|museum", "Mont Royal|viewpoint", "Marché Jean-Talon|market", "Notre-Dame Basilica|church"),
    ("Chicago", 41.88, -87.63, "Field Museum|museum", "Lincoln Park|park", "Maxwell Street|market", "Tribune Tower|tower"),
]
HELD_OUT_TOWNS = [
    ("Granada", 37.18, -3.60, "Alhambra|palace", "Generalife|garden", "Alcaiceria|market", "Science Park|museum"),
    ("Nantes", 47.22, -1.55, "Nantes Castle|castle", "Beaujoire|park", "Talensac|market", "Passage Pommeraye|shop"),
    ("Bristol", 51.45, -2.59, "Cabot Tower|tower", "Ashton Court|park", "Saint Nicholas Market|market", "Clifton Bridge|bridge"),
    ("Utrecht", 52.09, 5.12, "Dom Tower|tower", "Railway Museum|museum", "Wilhelminapark|park", "Vredenburg|market"),
    ("Leipzig", 51.34, 12.37, "Thomaskirche|church", "Clara Zetkin Park|park", "Grassi Museum|museum", "Panorama Tower|tower"),
    ("Graz", 47.07, 15.44, "Clock Tower|tower", "Joanneum|museum", "Kaiser Josef Market|market", "Eggenberg|palace"),
    ("Brno", 49.20, 16.61, "Villa Tugendhat|monument", "Brno Castle|castle", "Green Market|market", "Denis Gardens|garden"),
    ("Bologna", 44.49, 11.34, "Asinelli|tower", "Mercato di Mezzo|market", "Archiginnasio|library", "Giardini Margherita|park"),
    ("Malmö", 55.60, 13.00, "Turning Torso|tower", "Moderna|museum", "Pildammsparken|park", "Möllan|market"),
    ("Aarhus", 56.16, 10.20, "ARoS|museum", "Dokk1|library", "Marselisborg|palace", "Botanical Garden|garden"),
    ("Vilnius", 54.69, 25.28, "Gediminas|tower", "Hales|market", "Bernardine|garden", "Saint Anne|church"),
    ("Plovdiv", 42.14, 24.75, "Ancient Theatre|theatre", "Kapana|quarter", "Tsar Simeon|garden", "Ethnographic Museum|museum"),
    ("Nagoya", 35.18, 136.91, "Atsuta|temple", "Toyota Museum|museum", "Osu|market", "Shirotori|garden"),
    ("Boston", 42.36, -71.06, "Gardner Museum|museum", "Fenway|park", "Faneuil Hall|market", "Old North|church"),
]

BY_SEA = {"Dublin", "Reykjavík", "Helsinki", "Tallinn", "서울"}  # no train leaves these towns' country, as far as this data goes

WHO = ["a family with two small children", "a business traveller", "a retired couple", "four students", "a solo hiker",
       "a photographer", "a school class", "two friends", "a musician", "a visitor with a dog"]
DRY = ["clear sky", "sunshine", "light clouds", "dry and mild", "cold but dry"]
WET = ["light rain", "heavy rain", "snow", "a thunderstorm", "sleet"]
LIGHT = ["none", "a small bag", "a handbag", "a light backpack", "an umbrella"]
HEAVY = ["two heavy suitcases", "three big boxes", "a heavy trunk", "four suitcases", "a cello and two suitcases"]

MODE_ASK = ["Choose the best mode of transport for this trip.", "Which transport mode fits this trip?",
            "Recommend how to travel and give the reason.", "Pick one way to travel and answer in JSON as well.",
            "How should they get there?", "Decide how to make this journey."]
MODE_CONTEXT = [
    "Traveller: {who}. From {a} to {b}{where}, {far}, leaving at {time}. Weather: {sky}. Luggage: {bags}. Budget: {budget} EUR.",
    "From {a} to {b}{where}: {far}. Departure {time}, {sky}. {Who}, luggage: {bags}, budget {budget} EUR.",
    "{Who} must go from {a} to {b}{where} at {time}. Distance: {far}. Forecast: {sky}. Luggage: {bags}. They can spend {budget} EUR.",
    "Trip: {a} - {b}{where}. Distance {far}. Start {time}. Sky: {sky}. Luggage: {bags}. At most {budget} EUR. Who: {who}.",
    "{time}, {sky}. {Who} at {a}{where}, going to {b}, {far} away. Luggage: {bags}. Budget: {budget} EUR.",
]
MODE_SAY = {
    "plane": "{far} is a thousand kilometres or more: take the plane.",
    "train": "{far} is between towns, but not too far for the railway: take the train.",
    "taxi": "The luggage is heavy and {budget} EUR are enough: take a taxi.",
    "bus": "The luggage is heavy, but {budget} EUR are not enough for a taxi: take the bus.",
    "walk": "{far} is near and there is little to carry: walk.",
    "tram": "{far} is too far to walk and the weather is wet: take the tram.",
    "bicycle": "{far} is too far to walk and the weather is dry: take a bicycle.",
}

POI_ASK = ["Extract the point of interest as JSON.", "Which place does the note describe? Answer with JSON.",
           "Turn the note into a point of interest record.", "Give name, city and visiting details of the place as JSON.",
           "Read the travel note and list the place.", "Note down the point of interest."]
POI_CONTEXT = [
    "In {city} {who} visited {name}, a {category}. It opens at {opens}, {entry}, and {minutes} minutes are enough.",
    "Travel note from {city}: {name} ({category}) is worth {minutes} minutes. Doors open at {opens}; {entry}.",
    "{name} was the best stop of {who} in {city}. The {category} opens at {opens}. About {minutes} minutes; {entry}.",
    "Stop of the day: {name}, {city}. Kind: {category}. Open from {opens}. Plan {minutes} minutes. For {who}: {entry}.",
    "{Who} wrote: we spent {minutes} minutes at {name}, the {category} in {city}; {entry}. It opened at {opens}.",
]
POI_SAY = ["{name} is a {category} in {city} that opens at {opens}.", "The note describes {name}, a {category} in {city}.",
           "The place is {name} in {city}, open from {opens}."]


class Random:
    """SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""

    def __init__(self, seed):
        self.state = seed

    def bits(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def below(self, n):
        return self.bits() % n

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def choice(self, items):
        return items[self.below(len(items))]

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]


def landmarks(town):
    return [tuple(x.split("|")) for x in town[3:]]


def upper_first(text):
    return text[0].upper() + text[1:]


def town_km(a, b):
    """Great-circle distance, to the 10 km."""
    la, lb = math.radians(a[1]), math.radians(b[1])
    cos = math.sin(la) * math.sin(lb) + math.cos(la) * math.cos(lb) * math.cos(math.radians(a[2] - b[2]))
    return round(6371 * math.acos(max(-1.0, min(1.0, cos))) / 10) * 10


def street_metres(a, b):
    """Made up, but the same in every row that names the two landmarks."""
    r = Random(sum((i + 1) * ord(c) for i, c in enumerate(min(a, b) + max(a, b))) * 7919)
    return r.between(3, 19) * 100 if r.below(2) else r.between(21, 89) * 100


def mode_of(metres, wet, heavy, budget):
    """The rules that the answers follow: (mode, reason)."""
    if metres >= 10_000:
        return ("plane" if metres >= 1_000_000 else "train"), "distance"
    if heavy:
        return ("taxi", "luggage") if budget >= 10 else ("bus", "price")
    if metres < 2000:
        return "walk", "distance"
    return ("tram" if wet else "bicycle"), "weather"


def time_text(r, first, last):
    return f"{r.between(first, last):02d}:{r.choice([0, 15, 30, 45]):02d}"


def distance_text(metres):
    if metres < 2000:
        return f"{metres} m"
    return f"{metres / 1000:.1f} km" if metres < 10_000 else f"{metres // 1000} km"


def mode_row(r, towns, wanted):
    while True:  # until the drawn trip has the mode whose turn it is, so that all occur alike
        town, other = r.choice(towns), r.choice(towns)
        wet, heavy, rich = r.below(2) == 1, r.below(2) == 1, r.below(2) == 1
        if wanted in ("plane", "train"):
            a, b, where = town[0], other[0], ""
            metres, budget = town_km(town, other) * 1000, r.between(90, 450)
        else:
            (a, _), (b, _) = r.choice(landmarks(town)), r.choice(landmarks(town))
            where, metres = f" in {town[0]}", street_metres(a, b)
            budget = r.between(20, 60) if rich else r.between(4, 9)
        mode, reason = mode_of(metres, wet, heavy, budget)
        if mode == wanted and a != b and not (mode == "train" and {a, b} & BY_SEA):
            break
    who, far = r.choice(WHO), distance_text(metres)
    f = dict(a=a, b=b, where=where, far=far, sky=r.choice(WET if wet else DRY), bags=r.choice(HEAVY if heavy else LIGHT),
             budget=budget, who=who, Who=upper_first(who), time=time_text(r, 6, 21))
    return dict(task="travel_mode", instruction=r.choice(MODE_ASK), context=r.choice(MODE_CONTEXT).format(**f),
                response=MODE_SAY[mode].format(**f),
                response_json={"mode": mode, "from": a, "to": b, "distance": far, "reason": reason})


def poi_row(r, town, name, category):
    minutes, price = r.between(2, 12) * 10, r.choice([0, 0, 4, 6, 7.5, 9, 10, 12, 12.5, 14, 16, 18])
    entry = ("entry is free" if price == 0 else
             r.choice(["entry costs {} EUR", "tickets cost {} EUR", "the ticket is {} EUR"]).format(price))
    who = r.choice(WHO)
    f = dict(city=town[0], name=name, category=category, opens=time_text(r, 7, 11), minutes=minutes, entry=entry,
             who=who, Who=upper_first(who))
    context = r.choice(POI_CONTEXT).format(**f)
    for vowel in "aeiou":
        context = context.replace(f" a {vowel}", f" an {vowel}")
    return dict(task="poi", instruction=r.choice(POI_ASK), context=context, response=r.choice(POI_SAY).format(**f),
                response_json={"name": name, "city": town[0], "category": category, "opens": f["opens"],
                               "minutes": minutes, "price_eur": price})


def mode_rows(r, towns, n):
    modes = list(MODE_SAY)
    rows = [mode_row(r, towns, modes[i % len(modes)]) for i in range(n)]
    r.shuffle(rows)
    return rows


def poi_rows(r, towns, n):
    places = [(town, *place) for town in towns for place in landmarks(town)]
    r.shuffle(places)
    return [poi_row(r, *places[i % len(places)]) for i in range(n)]


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "examples" / "travel")
    out.mkdir(parents=True, exist_ok=True)
    held = [*mode_rows(Random(3), HELD_OUT_TOWNS, 21), *poi_rows(Random(4), HELD_OUT_TOWNS, 21)]
    Random(5).shuffle(held)
    files = {"mode": mode_rows(Random(1), TOWNS, 343), "pois": poi_rows(Random(2), TOWNS, 343), "heldout": held}
    for name, rows in files.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (out / f"{name}.jsonl").write_bytes(text.encode())


if __name__ == "__main__":
    main()
