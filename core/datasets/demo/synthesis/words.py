"""Common words of eleven languages, for the generated speech.

Native spellings only: a word marked as foreign makes the synthesiser switch language inside a
sentence.
"""

from __future__ import annotations

FAMILY_OF: dict[str, str] = {
    "english": "germanic", "german": "germanic", "dutch": "germanic", "swedish": "germanic",
    "spanish": "romance", "french": "romance", "italian": "romance", "portuguese": "romance",
    "polish": "slavic", "czech": "slavic", "ukrainian": "slavic",
}  # fmt: skip

DEMO_LANGUAGES = ("english", "german", "spanish", "french", "polish", "czech")

_TEXT: dict[str, str] = {
    "english": """
        the house and water with my friend when morning from under bread where children into
        window because mother street after summer never always between garden people together
        winter about green river before school evening again little mountain over brother
        through yellow paper without every quiet question those animal often kitchen their
        thousand behind village should weather another letter while sister carry around bright
        table listen toward simple market follow against silver doctor wonder during beautiful
        journey those answer beyond forest which narrow bridge finally
    """,
    "german": """
        das haus und wasser mit mein freund wenn morgen aus unter brot wo kinder durch fenster
        weil mutter straße nach sommer niemals immer zwischen garten leute zusammen winter über
        grün fluss bevor schule abend wieder klein berg bruder gelb papier ohne jeder ruhig
        frage diese tier oft küche ihre tausend hinter dorf sollte wetter anderer brief während
        schwester tragen herum hell tisch hören gegen einfach markt folgen silber arzt wunder
        schön reise antwort jenseits wald welche schmal brücke endlich nicht auch gehen
        schreiben nacht licht zeit möglich
    """,
    "spanish": """
        la casa y agua con mi amigo cuando mañana desde debajo pan donde niños hacia ventana
        porque madre calle después verano nunca siempre entre jardín gente juntos invierno
        sobre verde río antes escuela tarde otra pequeño montaña hermano amarillo papel sin
        cada tranquilo pregunta aquella animal mucho cocina sus mil detrás pueblo debería
        tiempo otro carta mientras hermana llevar alrededor claro mesa escuchar contra sencillo
        mercado seguir plata médico durante hermoso viaje respuesta lejos bosque cual estrecho
        puente finalmente también escribir noche luz posible camino
    """,
    "french": """
        la maison et eau avec mon ami quand matin depuis sous pain où enfants vers fenêtre
        parce mère rue après été jamais toujours entre jardin gens ensemble hiver sur vert
        rivière avant école soir encore petite montagne frère jaune papier sans chaque
        tranquille question cette animal souvent cuisine leur mille derrière village devrait
        temps autre lettre pendant soeur porter autour clair table écouter contre simple marché
        suivre argent médecin durant belle voyage réponse loin forêt laquelle étroit pont enfin
        aussi écrire nuit lumière possible chemin
    """,
    "polish": """
        ten dom i woda z mój przyjaciel kiedy rano od pod chleb gdzie dzieci przez okno ponieważ
        matka ulica po lato nigdy zawsze między ogród ludzie razem zima nad zielony rzeka przed
        szkoła wieczór znowu mały góra brat żółty papier bez każdy spokojny pytanie tamta
        zwierzę często kuchnia ich tysiąc za wieś powinien pogoda inny list podczas siostra
        nosić dookoła jasny stół słuchać przeciw prosty rynek iść srebro lekarz cud piękny
        podróż odpowiedź daleko las która wąski most wreszcie także pisać noc światło czas
        możliwy droga
    """,
    "czech": """
        ten dům a voda s můj přítel když ráno od pod chléb kde děti skrz okno protože matka
        ulice po léto nikdy vždy mezi zahrada lidé spolu zima nad zelený řeka před škola večer
        znovu malý hora bratr žlutý papír bez každý klidný otázka tamta zvíře často kuchyně
        jejich tisíc za vesnice měl počasí jiný dopis během sestra nosit kolem jasný stůl
        poslouchat proti prostý trh jít stříbro lékař zázrak krásný cesta odpověď daleko les
        která úzký most konečně také psát noc světlo čas možný
    """,
    "dutch": """
        het huis en water met mijn vriend wanneer morgen onder brood waar kinderen door venster
        omdat moeder straat na zomer nooit altijd tussen tuin mensen samen winter over groen
        rivier voor school avond weer klein berg broer geel papier zonder iedere rustig vraag
        deze dier vaak keuken hun duizend achter dorp weer ander brief terwijl zuster dragen
        licht tafel luisteren tegen eenvoudig markt volgen zilver dokter mooi reis antwoord bos
    """,
    "swedish": """
        huset och vatten med min vän när morgon från under bröd där barnen genom fönster därför
        mor gatan efter sommar aldrig alltid mellan trädgård folk tillsammans vinter över grön
        flod före skola kväll igen liten berg bror gul papper utan varje lugn fråga dessa djur
        ofta kök deras tusen bakom by väder annan brev medan syster bära omkring ljus bord lyssna
        mot enkel marknad följa silver läkare vacker resa svar skog smal bro äntligen
    """,
    "italian": """
        la casa e acqua con mio amico quando mattina da sotto pane dove bambini verso finestra
        perché madre strada dopo estate mai sempre tra giardino gente insieme inverno sopra verde
        fiume prima scuola sera ancora piccolo montagna fratello giallo carta senza ogni
        tranquillo domanda quella animale spesso cucina loro mille dietro paese tempo altro
        lettera mentre sorella portare intorno chiaro tavolo ascoltare contro semplice mercato
    """,
    "portuguese": """
        a casa e água com meu amigo quando manhã desde debaixo pão onde crianças janela porque
        mãe rua depois verão nunca sempre entre jardim gente juntos inverno sobre verde rio antes
        escola noite outra pequeno montanha irmão amarelo papel sem cada tranquilo pergunta
        aquela animal muito cozinha seus mil atrás aldeia tempo outro carta enquanto irmã levar
        claro mesa escutar contra simples mercado seguir prata médico viagem resposta floresta
    """,
    "ukrainian": """
        цей дім і вода з мій друг коли ранок від під хліб де діти через вікно тому мати вулиця
        після літо ніколи завжди між сад люди разом зима над зелений річка перед школа вечір
        знову малий гора брат жовтий папір без кожний тихий питання тварина часто кухня їхній
        тисяча за село погода інший лист сестра нести навколо ясний стіл слухати проти простий
        ринок іти срібло лікар гарний подорож відповідь далеко ліс вузький міст нарешті також
    """,
}

WORDS: dict[str, tuple[str, ...]] = {language: tuple(dict.fromkeys(text.split())) for language, text in _TEXT.items()}


def words(language: str, held_out: bool) -> tuple[str, ...]:
    """A language's words that the test split says, or those that the others say.

    Parameters
    ----------
    language : str
    held_out : bool
        Every fourth word is kept for the test split.

    Returns
    -------
    tuple of str
    """
    every = WORDS[language]
    return tuple(word for index, word in enumerate(every) if (index % 4 == 3) == held_out)
