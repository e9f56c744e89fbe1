package world

import "strings"

// country is one line of the atlas; capitals are distinct, languages shared.
type country struct{ name, capital, language string }

var atlas = []country{
	{"France", "Paris", "French"}, {"Senegal", "Dakar", "French"}, {"Gabon", "Libreville", "French"},
	{"Germany", "Berlin", "German"}, {"Austria", "Vienna", "German"},
	{"Spain", "Madrid", "Spanish"}, {"Peru", "Lima", "Spanish"}, {"Cuba", "Havana", "Spanish"}, {"Chile", "Santiago", "Spanish"},
	{"Portugal", "Lisbon", "Portuguese"}, {"Brazil", "Brasilia", "Portuguese"}, {"Angola", "Luanda", "Portuguese"},
	{"Egypt", "Cairo", "Arabic"}, {"Iraq", "Baghdad", "Arabic"}, {"Morocco", "Rabat", "Arabic"}, {"Syria", "Damascus", "Arabic"},
	{"England", "London", "English"}, {"Canada", "Ottawa", "English"}, {"Australia", "Canberra", "English"}, {"Jamaica", "Kingston", "English"},
	{"Kenya", "Nairobi", "Swahili"}, {"Tanzania", "Dodoma", "Swahili"},
	{"Greece", "Athens", "Greek"}, {"Cyprus", "Nicosia", "Greek"},
	{"Russia", "Moscow", "Russian"}, {"Belarus", "Minsk", "Russian"},
	{"Romania", "Bucharest", "Romanian"}, {"Moldova", "Chisinau", "Romanian"},
	{"Italy", "Rome", "Italian"}, {"Japan", "Tokyo", "Japanese"}, {"Poland", "Warsaw", "Polish"}, {"Sweden", "Stockholm", "Swedish"},
	{"Turkey", "Ankara", "Turkish"}, {"Hungary", "Budapest", "Hungarian"}, {"Norway", "Oslo", "Norwegian"}, {"Thailand", "Bangkok", "Thai"},
}

// people are the first names; four of them live in each country.
var people = strings.Fields(`
	Adam Agnes Albert Alice Amanda Andrew Anna Arthur Barbara Ben Bernard Betty
	Bob Brenda Brian Bruno Carl Carol Cecil Clara Claire Colin Daisy Daniel
	David Deborah Dennis Diana Donald Dora Edgar Edith Edward Elena Ellen Emily
	Emma Eric Ernest Esther Eva Felix Fiona Florence Frank Fred Gary Gemma
	Gerald Gina Gloria Gordon Greta Hannah Harold Harry Hazel Helen Henry Hilda
	Howard Hugo Ida Igor Irene Isaac Ivan Jack Jacob James Jane Janet
	Jason Jerry Jessica Joan John Joseph Judith Julia Karen Karl Kate Keith
	Kevin Laura Leon Leonard Linda Lisa Louis Lucy Luke Lydia Magda Marcus
	Margaret Maria Mark Martha Martin Mary Max Melissa Michael Miriam Monica Nadia
	Nancy Nathan Neil Nicole Nigel Nina Noah Nora Norman Olga Oliver Oscar
	Pamela Patrick Paul Paula Peter Philip Rachel Ralph Rebecca Richard Robert Ronald
	Rosa Ruth Samuel Sandra Sarah Simon Sophie Stella Susan Thomas Tom Victor`)

var foods = strings.Fields(`rice bread soup cheese apples noodles fish beans honey pasta salad cake
	pears olives nuts eggs potatoes plums butter grapes carrots pizza chocolate yogurt`)

// nouns are singular, plural, singular, plural...
var nouns = strings.Fields(`key keys cabinet cabinets lamp lamps coin coins book books cup cups
	chair chairs table tables letter letters bag bags ring rings map maps ball balls clock clocks
	hat hats bottle bottles brush brushes drum drums basket baskets flag flags rope ropes mirror mirrors
	pen pens candle candles plate plates box boxes knife knives ladder ladders`)

var prepositions = strings.Fields(`near behind under beside`)

// looks are the adjectives that end an agreement sentence.
var looks = strings.Fields(`old new big small clean dirty cheap expensive`)

var places = strings.Fields(`shop park school market station beach library garden
	museum farm harbor theater bank church office hotel`)

// opposites are word, opposite, word, opposite...; nobody has two.
var opposites = strings.Fields(`hot cold big small old new fast slow high low wet dry hard soft
	light dark rich poor loud quiet early late open closed full empty strong weak clean dirty happy sad
	tall short thick thin true false sweet bitter deep shallow wide narrow cheap expensive safe dangerous`)

// Organisations are named first, second, third.
var (
	firstWords  = strings.Fields(`Advanced British Central Digital Eastern Federal Global International Joint Local Modern National Royal United`)
	secondWords = strings.Fields(`Airport Business Climate Data Energy Finance Health Justice Language Music Ocean Research Science Travel Water`)
	thirdWords  = strings.Fields(`Agency Bureau Council Department Foundation Group Institute League Office Partnership Society Trust`)
)

var events = strings.Fields(`war reign voyage strike trial famine project drought`)

const (
	perCountry   = 4   // people
	numbers      = 100 // 0..99
	firstYear    = 10  // two-digit years in which an event may begin
	lastYear     = 97
	firstCentury = 10
	lastCentury  = 19
)
